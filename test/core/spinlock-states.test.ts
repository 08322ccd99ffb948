// What BLOCKED and COMPUTED mean to each kind of lock, on both stores.

import { DSpinlockBase, DspinlockError, HashDSpinlock, KeyExistsError, type Store } from '@dspinlock/core'
import { expect } from 'chai'
import { failure } from '../support/failure.js'
import { storeKinds } from '../support/stores.js'

for (const [name, makeStore] of storeKinds) {
  describe(`spinlock: states on ${name}`, () => {
    let store: Store
    let count = 0
    let value: readonly unknown[]

    before(() => {
      store = makeStore()
    })
    beforeEach(() => {
      value = ['states', ++count]
    })
    after(() => store.close())

    it('absent is blocked; a release makes it computed; computed is blocked again', async () => {
      const lock = new HashDSpinlock(value, { store })
      expect([lock.state, lock.fence, lock.signal, lock.cached]).to.deep.equal([undefined, undefined, undefined, false])
      expect(await lock.acquire()).to.equal(lock)
      expect([lock.state, lock.cached, lock.signal?.aborted]).to.deep.equal(['BLOCKED', false, false])
      const first = lock.fence ?? 0
      expect((await store.inspect(lock.key))?.state).to.equal('held')
      await lock.release()
      expect([lock.state, lock.fence]).to.deep.equal(['COMPUTED', undefined])
      const stored = await store.inspect(lock.key)
      expect(stored?.state).to.equal('settled')
      expect(stored?.ttlLeftMs).to.be.within(3_590_000, 3_600_000)
      const again = await new HashDSpinlock(value, { store }).acquire()
      expect(again.fence).to.be.above(first)
      expect((await store.inspect(lock.key))?.state).to.equal('held')
      await again.release()
    })

    it('with cachedIfComputed, computed is not blocked: run gives the stored result and the lock says cached', async () => {
      const options = { store, cachedIfComputed: true }
      let runs = 0
      const work = (): unknown => ({ runs: ++runs, at: new Date(5), ids: new Set([1n]) })
      const first = new HashDSpinlock(value, options)
      const made = await first.run(work)
      expect([first.cached, first.state]).to.deep.equal([false, 'COMPUTED'])
      const second = new HashDSpinlock(value, options)
      const found = await second.run(work)
      expect(found).to.deep.equal(made)
      expect(found).not.to.equal(made)
      expect([runs, second.cached, second.state, second.cachedValue]).to.deep.equal([1, true, 'COMPUTED', found])
      const third = await new HashDSpinlock(value, options).acquire()
      expect([third.cached, third.state, third.fence, third.cachedValue]).to.deep.equal([
        true,
        'COMPUTED',
        undefined,
        made,
      ])
      // Nothing is held, so there is nothing to release, and no error.
      await third.release()
      await third[Symbol.asyncDispose]()
      expect(await new HashDSpinlock(value, options).run(work)).to.deep.equal(made)
    })

    it('with cachedIfComputed, a waiter gets the result when it is there', async () => {
      const options = { store, cachedIfComputed: true }
      let runs = 0
      let finish = (_result: string): void => {}
      const locks = Array.from({ length: 5 }, () => new HashDSpinlock(value, options))
      const results = locks.map(lock =>
        lock.run(() => {
          runs++
          return new Promise<string>(resolve => (finish = resolve))
        }),
      )
      while (runs === 0) await new Promise(resolve => setImmediate(resolve))
      finish('once')
      expect(await Promise.all(results)).to.deep.equal(Array(5).fill('once'))
      expect([runs, locks.filter(lock => lock.cached).length]).to.deep.equal([1, 4])
    })

    it('what a lock without cachedIfComputed computed is found by one with it', async () => {
      expect(await new HashDSpinlock(value, { store }).run(() => 'plain')).to.equal('plain')
      expect(await new HashDSpinlock(value, { store, cachedIfComputed: true }).run(() => 'never')).to.equal('plain')
    })

    it('undefined is a result', async () => {
      const options = { store, cachedIfComputed: true }
      expect(await new HashDSpinlock(value, options).run(() => undefined)).to.equal(undefined)
      expect(await new HashDSpinlock(value, options).run(() => 'never')).to.equal(undefined)
    })

    it('computed without a result is no result: one works under the lock, and all get what it made', async () => {
      const options = { store, cachedIfComputed: true }
      await (await new HashDSpinlock(value, options).acquire()).release()
      expect((await new HashDSpinlock(value, options).acquire()).cached).to.equal(true)
      let runs = 0
      const work = async (): Promise<string> => {
        const state = await store.inspect(new HashDSpinlock(value, options).key)
        return `${state?.state} ${++runs}`
      }
      const results = await Promise.all([1, 2, 3, 4].map(() => new HashDSpinlock(value, options).run(work)))
      expect(results).to.deep.equal(Array(4).fill('held 1'))
    })

    it('failIfKeyExists is an error in either state, and at once', async () => {
      const options = { store, failIfKeyExists: true }
      const lock = await new HashDSpinlock(value, options).acquire()
      const startedAt = performance.now()
      const blocked = await failure(new HashDSpinlock(value, options).acquire())
      expect(blocked).to.be.instanceOf(KeyExistsError).and.instanceOf(DspinlockError)
      expect(blocked).to.include({ code: 'ERR_DSPINLOCK_KEY_EXISTS', key: lock.key, state: 'BLOCKED' })
      // What it says to do has to help, and deleteState would be refused.
      expect(blocked.message).to.match(/ is blocked, .*; try again once its holder has released it$/)
      await lock.release()
      const computed = await failure(new HashDSpinlock(value, options).run(() => 'never'))
      expect(computed).to.include({ code: 'ERR_DSPINLOCK_KEY_EXISTS', state: 'COMPUTED' })
      expect(performance.now() - startedAt).to.be.below(450)
      expect(computed.message).to.match(/ is computed already, .*; wait for it to expire, or call deleteState\(\)$/)
      await new HashDSpinlock(value, options).deleteState()
      expect(await new HashDSpinlock(value, options).run(() => 'again')).to.equal('again')
    })

    it('failIfKeyExists against a lock of another kind', async () => {
      await new HashDSpinlock(value, { store }).run(() => 'done')
      const late = await failure(new HashDSpinlock(value, { store, failIfKeyExists: true }).acquire())
      expect(late).to.include({ state: 'COMPUTED' })
    })

    it('computed is forgotten after expireAtMs', async () => {
      const options = { store, failIfKeyExists: true, expireAtMs: 60 }
      await new HashDSpinlock(value, options).run(() => 1)
      expect((await failure(new HashDSpinlock(value, options).run(() => 2))).code).to.equal('ERR_DSPINLOCK_KEY_EXISTS')
      await new Promise(resolve => setTimeout(resolve, 80))
      expect(await new HashDSpinlock(value, options).run(() => 3)).to.equal(3)
    })

    it('getExpiry decides for how long', async () => {
      class Brief extends HashDSpinlock {
        override getExpiry(): number {
          return 5_000
        }
      }
      const lock = new Brief(value, { store })
      await lock.run(() => 1)
      expect((await store.inspect(lock.key))?.ttlLeftMs).to.be.within(1, 5_000)
    })

    it('work that throws leaves nothing, its own error is what the caller sees, and the next one runs', async () => {
      const options = { store, cachedIfComputed: true }
      const fault = new Error('of the work')
      const lock = new HashDSpinlock(value, options)
      expect(await failure(lock.run(() => Promise.reject(fault)))).to.equal(fault)
      expect([lock.state, lock.fence]).to.deep.equal([undefined, undefined])
      expect((await store.inspect(lock.key))?.state ?? 'free').to.equal('free')
      expect(await new HashDSpinlock(value, options).run(() => 'second')).to.equal('second')
    })

    it('the end of a block frees the key and does not say that it was computed, whether it threw or not', async () => {
      const fault = new Error('of the block')
      const block = async (fails: boolean): Promise<string> => {
        await using lock = await new HashDSpinlock(value, { store }).acquire()
        expect(lock.state).to.equal('BLOCKED')
        if (fails) throw fault
        return lock.key
      }
      expect(await failure(block(true))).to.equal(fault)
      const key = await block(false)
      expect((await store.inspect(key))?.state ?? 'free').to.equal('free')
    })

    it('release at the end of a block says so', async () => {
      {
        await using lock = await new HashDSpinlock(value, { store }).acquire()
        await lock.release()
      }
      const lock = await new HashDSpinlock(value, { store, cachedIfComputed: true }).acquire()
      expect(lock.cached).to.equal(true)
    })

    it('deleteState spares another holder unless forced, and forgets that the work was done', async () => {
      const other = new HashDSpinlock(value, { store })
      expect(await other.deleteState()).to.equal(false)
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const refused = await failure(other.deleteState())
      expect(refused).to.include({ code: 'ERR_DSPINLOCK_INVALID_RELEASE', key: holder.key })
      expect(refused.message).to.match(/force: true/)
      expect(holder.signal?.aborted).to.equal(false)
      await holder.release()
      expect(await other.deleteState()).to.equal(true)
      expect(await new HashDSpinlock(value, { store, failIfKeyExists: true }).run(() => 'again')).to.equal('again')
      expect(await other.deleteState({ force: true })).to.equal(true)
      const evicted = await new HashDSpinlock(value, { store }).acquire()
      expect(await other.deleteState({ force: true })).to.equal(true)
      expect(evicted.signal?.aborted).to.equal(true)
      expect((await failure(evicted.release())).code).to.equal('ERR_DSPINLOCK_INVALID_RELEASE')
      const own = await new HashDSpinlock(value, { store }).acquire()
      expect(await own.deleteState()).to.equal(true)
      expect([own.state, (await store.inspect(own.key))?.state ?? 'free']).to.deep.equal([undefined, 'free'])
    })

    it('an instance can be used again after its end', async () => {
      const lock = new HashDSpinlock(value, { store })
      const fences: number[] = []
      for (let n = 0; n < 3; n++)
        await lock.run(({ fence, key, tag }) => {
          expect([key, tag]).to.deep.equal([lock.key, lock.tag])
          fences.push(fence)
        })
      expect(fences).to.deep.equal([...new Set(fences)].sort((a, b) => a - b))
    })

    it('a class of one’s own below DSpinlockBase decides about key, tag and record', async () => {
      class JobLock extends DSpinlockBase {
        override getKey(): string {
          return `${this.keyPrefix}/${this.uid}`
        }
        override getUid(job: unknown): string {
          return (job as { id: string }).id
        }
        override getTag(): string {
          return 'worker 7'
        }
        override packRecord(record: { readonly value: unknown }): Uint8Array {
          return new TextEncoder().encode(`jobs:${String(record.value)}`)
        }
        override unpackRecord(record: Uint8Array) {
          const [, result] = new TextDecoder().decode(record).split(':')
          return { state: 'COMPUTED', tag: 'worker 7', fence: 1, hasValue: true, value: result } as const
        }
      }
      const options = { store, cachedIfComputed: true, keyPrefix: `jobs-${count}` }
      const first = new JobLock({ id: 'j-1' }, options)
      expect([first.key, first.tag]).to.deep.equal([`jobs-${count}/j-1`, 'worker 7'])
      await first.run(() => 'ok')
      expect(await new JobLock({ id: 'j-1', retries: 2 }, options).run(() => 'never')).to.equal('ok')
    })
  })
}
