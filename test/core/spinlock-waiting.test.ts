// Waiting for a lock ends, is short and blocks nobody; and one instance is one holder.

import { setMaxListeners } from 'node:events'
import { DspinlockError, HashDSpinlock, memoryStore, type Store } from '@dspinlock/core'
import { expect } from 'chai'
import { failure } from '../support/failure.js'
import { storeKinds } from '../support/stores.js'

for (const [name, makeStore] of storeKinds) {
  describe(`spinlock: waiting on ${name}`, () => {
    let store: Store
    let count = 0
    let value: readonly unknown[]

    before(() => {
      store = makeStore()
    })
    beforeEach(() => {
      value = ['waiting', ++count]
    })
    after(() => store.close())

    it('ends with the last try, not a sleep later, and the error says what to raise', async () => {
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const startedAt = performance.now()
      const tries = { store, maxSpinlockTries: 3, spinlockSleepMs: 500 }
      const error = await failure(new HashDSpinlock(value, tries).acquire())
      const waitedMs = performance.now() - startedAt
      expect(waitedMs).to.be.within(990, 1_490)
      expect(error).to.be.instanceOf(DspinlockError)
      expect(error).to.include({ code: 'ERR_DSPINLOCK_TRIES_EXCEEDED', key: holder.key })
      expect(error.cause).to.include({ code: 'ERR_DSPINLOCK_WAIT_TIMEOUT' })
      expect(error.message).to.match(/3 tries.*maxSpinlockTries/)
      await holder.release()
    })

    it('of a thousand locks is all that one key takes, and the error says what helps', async () => {
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const leaving = new AbortController()
      setMaxListeners(0, leaving.signal)
      const waiting = Array.from({ length: 1_000 }, () =>
        failure(new HashDSpinlock(value, { store, maxSpinlockTries: 1_000 }).acquire({ signal: leaving.signal })),
      )
      const error = await failure(new HashDSpinlock(value, { store }).acquire())
      expect(error).to.include({ code: 'ERR_DSPINLOCK_WAITER_LIMIT', key: holder.key })
      expect(error.message).to.match(
        /let fewer wait, or raise maxWaitersPerKey of the engine \(a lock has no such option\)$/,
      )
      leaving.abort()
      await Promise.all(waiting)
      await holder.release()
    })

    it('of a lock with one try does not happen', async () => {
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const startedAt = performance.now()
      const once = { store, maxSpinlockTries: 1, spinlockSleepMs: 60_000 }
      const error = await failure(new HashDSpinlock(value, once).acquire())
      expect(error.code).to.equal('ERR_DSPINLOCK_TRIES_EXCEEDED')
      expect(error.message).to.include('is still blocked after 1 try; raise maxSpinlockTries, shorten')
      expect(performance.now() - startedAt).to.be.below(5_000)
      await holder.release()
      await new HashDSpinlock(value, once).run(() => undefined)
    })

    it('ends at once when the holder releases, however long the sleep, and the release is no error', async () => {
      const patient = { store, spinlockSleepMs: 20_000 }
      const holder = await new HashDSpinlock(value, patient).acquire()
      const next = new HashDSpinlock(value, patient).acquire()
      await new Promise(resolve => setTimeout(resolve, 20))
      const releasedAt = performance.now()
      await holder.release()
      await (await next).release()
      expect(performance.now() - releasedAt).to.be.below(5_000)
    })

    it('lets everything else in the process go on', async () => {
      const holder = await new HashDSpinlock(value, { store }).acquire()
      let ticks = 0
      const timer = setInterval(() => ticks++, 5)
      await failure(new HashDSpinlock(value, { store, maxSpinlockTries: 3, spinlockSleepMs: 100 }).acquire())
      clearInterval(timer)
      expect(ticks).to.be.above(3)
      await holder.release()
    })

    it('ends when its signal aborts, and the instance can be used again', async () => {
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const lock = new HashDSpinlock(value, { store })
      const abort = new AbortController()
      const acquired = failure(lock.acquire({ signal: abort.signal }))
      await new Promise(resolve => setTimeout(resolve, 10))
      abort.abort(new Error('enough'))
      expect((await acquired).message).to.equal('enough')
      expect((await failure(lock.acquire({ signal: AbortSignal.abort(new Error('before')) }))).message).to.equal(
        'before',
      )
      await holder.release()
      await (await lock.acquire()).release()
    })

    it('a second acquire of one instance is an error, and the outer block stays protected', async () => {
      const lock = new HashDSpinlock(value, { store })
      const outer = lock.acquire()
      expect(await failure(lock.acquire())).to.include({ code: 'ERR_DSPINLOCK_INVALID_STATE', key: lock.key })
      await outer
      const { fence } = lock
      expect((await failure(lock.acquire())).code).to.equal('ERR_DSPINLOCK_INVALID_STATE')
      expect((await failure(lock.run(() => 'inner'))).code).to.equal('ERR_DSPINLOCK_INVALID_STATE')
      expect([lock.state, lock.fence]).to.deep.equal(['BLOCKED', fence])
      const other = new HashDSpinlock(value, { store, maxSpinlockTries: 1 })
      expect((await failure(other.acquire())).code).to.equal('ERR_DSPINLOCK_TRIES_EXCEEDED')
      await lock.release()
    })

    it('a release of what is not held is an error', async () => {
      const lock = new HashDSpinlock(value, { store })
      expect(await failure(lock.release())).to.include({ code: 'ERR_DSPINLOCK_INVALID_RELEASE', key: lock.key })
      await lock.acquire()
      await lock.release()
      expect((await failure(lock.release())).code).to.equal('ERR_DSPINLOCK_INVALID_RELEASE')
    })

    it('is served in order of arrival', async () => {
      const order: number[] = []
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const waiting = [0, 1, 2, 3, 4].map(n => new HashDSpinlock(value, { store }).run(() => void order.push(n)))
      await new Promise(resolve => setTimeout(resolve, 20))
      await holder.release()
      await Promise.all(waiting)
      expect(order).to.deep.equal([0, 1, 2, 3, 4])
    })
  })
}

describe('spinlock: the spin', () => {
  for (const end of ['release', Symbol.asyncDispose] as const) {
    it(`run does nothing under a hold that somebody else ended on its instance, by ${String(end)}, and leaves theirs alone`, async () => {
      const store = memoryStore()
      const lock = new HashDSpinlock('shared instance', { store })
      let ran = false
      const running = failure(lock.run(() => (ran = true)))
      // Before the next turn of the event loop, as a caller that waited for it might.
      while (lock.state === undefined) await Promise.resolve()
      await lock[end]()
      await lock.acquire()
      expect((await running) as { code?: string }).to.include({ code: 'ERR_DSPINLOCK_INVALID_RELEASE' })
      expect([ran, lock.state]).to.deep.equal([false, 'BLOCKED'])
      await lock.release()
      await store.close()
    })
  }

  it('finds a key that is free although no message said so', async () => {
    const inner = memoryStore()
    const deaf: Store = new Proxy(inner, {
      get(target, property) {
        if (property === 'open') return () => target.open(() => {})
        const found: unknown = Reflect.get(target, property, target)
        return typeof found === 'function' ? (found.bind(target) as unknown) : found
      },
    })
    const holder = await new HashDSpinlock('v', { store: inner, leaseMs: 600_000 }).acquire()
    const lock = new HashDSpinlock('v', { store: deaf, spinlockSleepMs: 20, maxSpinlockTries: 200 })
    const acquired = lock.acquire()
    await new Promise(resolve => setTimeout(resolve, 30))
    await holder.deleteState()
    const startedAt = performance.now()
    await acquired
    expect(performance.now() - startedAt).to.be.below(1_500)
    await lock.release()
  })
})
