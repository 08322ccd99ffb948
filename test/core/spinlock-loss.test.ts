// A lost lock is noticed, and an error of the lock never hides an error of the work.

import { once } from 'node:events'
import { HashDSpinlock, LockEngine, memoryStore, type Store, StoreError } from '@dspinlock/core'
import { expect } from 'chai'
import { failure } from '../support/failure.js'
import { storeKinds } from '../support/stores.js'

/** A memory store with some operations replaced. */
function storeWith(changes: Partial<Store>): Store {
  const store = memoryStore()
  return new Proxy(store, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name) as unknown
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

for (const [name, makeStore] of storeKinds) {
  describe(`spinlock: loss on ${name}`, () => {
    let store: Store
    before(() => {
      store = makeStore()
    })
    after(() => store.close())

    it('aborts the signal while the work runs, and run says so in the end', async () => {
      const lock = new HashDSpinlock('lost in run', { store, leaseMs: 60 })
      const error = await failure(
        lock.run(async ({ signal, fence }) => {
          await store.forget(lock.key, fence)
          if (!signal.aborted) await once(signal, 'abort')
          expect(lock.state).to.equal(undefined)
        }),
      )
      expect(error).to.include({ code: 'ERR_DSPINLOCK_INVALID_RELEASE', key: lock.key })
      expect((error.cause as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
      expect(await lock.run(() => 'usable again')).to.equal('usable again')
    })

    it('that nobody had noticed yet is an error of the release, and does not affect the new holder', async () => {
      const lock = await new HashDSpinlock('lost before release', { store }).acquire()
      await store.forget(lock.key, lock.fence)
      const other = await new LockEngine({ store }).enter(lock.key)
      const error = await failure(lock.release())
      expect(error).to.include({ code: 'ERR_DSPINLOCK_INVALID_RELEASE' })
      expect(error.cause).to.include({ code: 'ERR_DSPINLOCK_LEASE_LOST' })
      expect(other.role === 'holder' && (await other.hold.release())).to.equal(true)
    })

    it('does not hide the error of the work', async () => {
      const lock = new HashDSpinlock('lost and thrown', { store })
      const fault = new Error('of the work')
      const error = await failure(
        lock.run(async ({ fence }) => {
          await store.forget(lock.key, fence)
          throw fault
        }),
      )
      expect(error).to.equal(fault)
      const block = async (): Promise<void> => {
        await using held = await new HashDSpinlock('lost and thrown', { store }).acquire()
        await store.forget(held.key, held.fence)
        throw fault
      }
      expect(await failure(block())).to.equal(fault)
    })
  })
}

describe('spinlock: a store that fails at the end', () => {
  const away = (): Promise<never> => Promise.reject(new Error('away'))

  it('does not take the result from who worked, nor the error from work that threw', async () => {
    const store = storeWith({ settle: away, release: away })
    expect(await new HashDSpinlock('a', { store }).run(() => 'result')).to.equal('result')
    const fault = new Error('of the work')
    expect(await failure(new HashDSpinlock('b', { store }).run(() => Promise.reject(fault)))).to.equal(fault)
    const lock = await new HashDSpinlock('c', { store }).acquire()
    expect(await failure(lock.release())).to.be.instanceOf(StoreError)
    const other = await new HashDSpinlock('d', { store }).acquire()
    await other[Symbol.asyncDispose]()
  })

  it('and one that fails at the beginning is a StoreError', async () => {
    const lock = new HashDSpinlock('a', { store: storeWith({ claim: away }) })
    expect(await failure(lock.acquire())).to.be.instanceOf(StoreError)
    expect(lock.state).to.equal(undefined)
    const closed = memoryStore()
    const late = new HashDSpinlock('a', { store: closed })
    await closed.close()
    const error = await failure(late.acquire())
    expect(error).to.include({ code: 'ERR_DSPINLOCK_STORE_NOT_INITIALISED', key: late.key })
    expect(() => new HashDSpinlock('a', { store: closed })).to.throw(TypeError, 'open store')
  })
})
