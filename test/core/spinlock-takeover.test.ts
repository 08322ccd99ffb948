// A key that is blocked for longer than maxBlockMs may be taken over, from that very holder and from no other.

import { type Blocked, HashDSpinlock, type Store } from '@dspinlock/core'
import { expect } from 'chai'
import { failure } from '../support/failure.js'
import { storeKinds } from '../support/stores.js'
import { noteTroubles } from '../support/troubles.js'

const aborted = (signal: AbortSignal | undefined): Promise<void> =>
  new Promise(resolve => {
    if (signal?.aborted !== false) return resolve()
    signal.addEventListener('abort', () => resolve())
  })

for (const [name, makeStore] of storeKinds) {
  describe(`spinlock: takeover on ${name}`, () => {
    let store: Store
    let count = 0
    let value: readonly unknown[]

    before(() => {
      store = makeStore()
    })
    beforeEach(() => {
      value = ['takeover', ++count]
    })
    after(() => store.close())

    it('a holder past its maxBlockMs is told, and the next one gets the key', async () => {
      const slow = await new HashDSpinlock(value, { store, maxBlockMs: 60 }).acquire()
      const { signal, fence } = slow
      const startedAt = performance.now()
      const next = new HashDSpinlock(value, { store, maxBlockMs: 60, spinlockSleepMs: 40 })
      await next.acquire()
      expect(performance.now() - startedAt).to.be.below(1_000)
      expect(next.fence).to.be.above(fence ?? 0)
      await aborted(signal)
      expect(slow.state).to.equal(undefined)
      const error = await failure(slow.release())
      expect(error).to.include({ code: 'ERR_DSPINLOCK_INVALID_RELEASE', key: slow.key })
      expect((error.cause as { code: string }).code).to.match(/HOLD_TIMEOUT|LEASE_LOST/)
      expect((await store.inspect(next.key))?.fence).to.equal(next.fence)
      await next.release()
    })

    it('a holder past its maxBlockMs is told the name of that option', async () => {
      const slow = await new HashDSpinlock(value, { store, maxBlockMs: 20 }).acquire()
      const { signal } = slow
      await aborted(signal)
      expect(String(signal?.reason)).to.contain('(of a lock: maxBlockMs)')
      await slow.release()
    })

    it('a waiter decides by its own maxBlockMs, and the holder is told', async () => {
      const slow = await new HashDSpinlock(value, { store, leaseMs: 300 }).acquire()
      const { signal } = slow
      const next = await new HashDSpinlock(value, { store, maxBlockMs: 50, spinlockSleepMs: 40 }).acquire()
      await aborted(signal)
      expect(signal?.reason).to.include({ code: 'ERR_DSPINLOCK_LEASE_LOST' })
      await slow[Symbol.asyncDispose]()
      expect(next.signal?.aborted).to.equal(false)
      await next.release()
    })

    it('a fresh holder is not evicted for what the one before it did', async () => {
      const options = { store, maxBlockMs: 400, spinlockSleepMs: 30, maxSpinlockTries: 100 }
      const first = await new HashDSpinlock(value, options).acquire()
      const second = new HashDSpinlock(value, options)
      const order = [second.acquire()]
      const third = new HashDSpinlock(value, options)
      order.push(third.acquire())
      await new Promise(resolve => setTimeout(resolve, 300))
      await first.release()
      await order[0]
      await new Promise(resolve => setTimeout(resolve, 250))
      // By now the key has been blocked for longer than maxBlockMs, but by two holders.
      expect([second.state, third.state, second.signal?.aborted]).to.deep.equal(['BLOCKED', undefined, false])
      await second.release()
      await order[1]
      await third.release()
    })

    it('of many that see an old block, one takes over and the others wait for that one', async () => {
      const slow = await new HashDSpinlock(value, { store }).acquire()
      const options = { store, maxBlockMs: 80, spinlockSleepMs: 20, maxSpinlockTries: 500 }
      let inside = 0
      let most = 0
      const signals: AbortSignal[] = []
      await Promise.all(
        Array.from({ length: 8 }, () =>
          new HashDSpinlock(value, options).run(async ({ signal }) => {
            signals.push(signal)
            most = Math.max(most, ++inside)
            await new Promise(resolve => setTimeout(resolve, 20))
            inside--
          }),
        ),
      )
      expect([most, signals.length, signals.filter(signal => signal.aborted).length]).to.deep.equal([1, 8, 0])
      await slow[Symbol.asyncDispose]()
    })

    it('staleness is counted from the acquisition, not from when the lock was made', async () => {
      const lock = new HashDSpinlock(value, { store, maxBlockMs: 250 })
      await new Promise(resolve => setTimeout(resolve, 260))
      await lock.acquire()
      const impatient = { store, maxBlockMs: 250, spinlockSleepMs: 25, maxSpinlockTries: 4 }
      expect((await failure(new HashDSpinlock(value, impatient).acquire())).code).to.equal(
        'ERR_DSPINLOCK_TRIES_EXCEEDED',
      )
      expect(lock.signal?.aborted).to.equal(false)
      await lock.release()
    })

    it('hasExhaustedBlockTime decides, knowing how long the store saw the block', async () => {
      const seen: Blocked[] = []
      class Eager extends HashDSpinlock {
        override spinlockSleepMs = 20
        override maxSpinlockTries = 100
        override hasExhaustedBlockTime(blocked: Blocked): boolean {
          seen.push(blocked)
          return seen.length > 3
        }
      }
      const slow = await new HashDSpinlock(value, { store }).acquire()
      const { fence } = slow
      const next = await new Eager(value, { store }).acquire()
      expect(seen.length).to.be.at.least(4)
      for (const blocked of seen) expect(blocked).to.include({ key: slow.key, fence })
      const times = seen.map(blocked => blocked.heldMs)
      expect(times[3]).to.be.above(times[0] ?? 0)
      await next.release()
      await slow[Symbol.asyncDispose]()
    })

    it('hasExhaustedBlockTime that gives a promise takes nothing over, and an error names it', async () => {
      class Asynchronous extends HashDSpinlock {
        override spinlockSleepMs = 20
        override maxSpinlockTries = 4
        static {
          Object.defineProperty(this.prototype, 'hasExhaustedBlockTime', { value: async () => false })
        }
      }
      const holder = await new HashDSpinlock(value, { store }).acquire()
      const { noted, stop } = noteTroubles('spinlock')
      const error = await failure(new Asynchronous(value, { store }).acquire())
      stop()
      expect(error.code).to.equal('ERR_DSPINLOCK_TRIES_EXCEEDED')
      expect(holder.state).to.equal('BLOCKED')
      expect(noted[0]?.error)
        .to.be.instanceOf(TypeError)
        .with.property('message')
        .that.matches(/hasExhaustedBlockTime\(\) must return true or false, but returned an object \(Promise\)/)
      await holder.release()
    })

    it("does not depend on this process's clock", async () => {
      const lock = await new HashDSpinlock(value, { store, maxBlockMs: 600_000 }).acquire()
      const realNow = Date.now
      try {
        Date.now = () => realNow() + 3 * 3_600_000
        const other = { store, maxBlockMs: 600_000, spinlockSleepMs: 30, maxSpinlockTries: 4 }
        const error = await failure(new HashDSpinlock(value, other).acquire())
        expect(error.code).to.equal('ERR_DSPINLOCK_TRIES_EXCEEDED')
      } finally {
        Date.now = realNow
      }
      expect(lock.signal?.aborted).to.equal(false)
      await lock.release()
    })
  })
}
