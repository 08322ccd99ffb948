// A holder that lost its lease knows it: at once when it is told, and at the latest when the lease runs out by its own clock.

import {
  channels,
  type Hold,
  LockEngine,
  type LostEvent,
  memoryStore,
  type Store,
  type TroubleEvent,
} from '@dspinlock/core'
import { expect } from 'chai'
import { holdOf, storeWith } from '../support/engine.js'

const leaseLost = 'ERR_DSPINLOCK_LEASE_LOST'

/** Blocks this process for so long. */
function stall(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

function codeOf(hold: Hold): string {
  return (hold.signal.reason as { code: string }).code
}

/** The code of the error that is thrown, if one is. */
function catchOf(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('a lost lease', () => {
  let store: Store
  it('aborts the signal when a stalled process looks at it, before any timer could run', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('k', { leaseMs: 30 }))
    expect(hold.signal.aborted).to.equal(false)
    stall(40)
    expect(hold.signal.aborted).to.equal(true)
    expect(codeOf(hold)).to.equal(leaseLost)
    const other = holdOf(await engine.enter('other', { leaseMs: 30 }))
    stall(40)
    // What follows a signal does not ask it, but listens.
    expect(AbortSignal.any([other.signal]).aborted, 'a signal that is asked for only afterwards').to.equal(true)
  })

  it('is none of a hold that has ended, whatever the answer to its last renewal', async () => {
    let answer = (_mine: boolean): void => {}
    const asked = new Promise<void>(resolve => {
      const changes: Partial<Store> = {
        renew: () => {
          setImmediate(resolve)
          return new Promise(answered => (answer = answered))
        },
      }
      store = storeWith(changes)
    })
    const hold = holdOf(await new LockEngine({ store }).enter('k', { leaseMs: 300 }))
    const { signal } = hold
    await asked
    await hold.release()
    answer(false)
    await new Promise(setImmediate)
    expect(signal.aborted).to.equal(false)
  })

  it('aborts a signal that was kept from before the stall with the next turn of the event loop', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const { signal } = holdOf(await engine.enter('k', { leaseMs: 30 }))
    stall(40)
    await new Promise(resolve => setTimeout(resolve, 1))
    expect(signal.aborted).to.equal(true)
  })

  it('aborts a signal that was kept from before the stall when a timer that was due earlier looks at it', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const { signal } = holdOf(await engine.enter('k', { leaseMs: 30 }))
    const seen = new Promise(resolve => {
      // Due before the next renewal.
      setTimeout(() => resolve([catchOf(() => signal.throwIfAborted()), signal.aborted]), 1)
    })
    stall(40)
    expect(await seen).to.deep.equal([leaseLost, true])
  })

  it('is not put off by a renewal if a stall has made the hold last too long, and nothing is warned of', async () => {
    let renewals = 0
    const inner = memoryStore()
    const changes: Partial<Store> = { renew: request => (renewals++, inner.renew(request)) }
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => void warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const { signal } = holdOf(await engine.enter('k', { leaseMs: 300, maxHoldMs: 110 }))
      const aborted = new Promise(resolve => signal.addEventListener('abort', resolve))
      stall(130)
      await aborted
      await new Promise(setImmediate)
      expect([renewals, ...warnings]).to.deep.equal([0])
    } finally {
      process.off('warning', onWarning)
    }
  })

  it('aborts when the lease runs out while a renewal is never answered, not later', async () => {
    const engine = new LockEngine({ store: storeWith({ renew: () => new Promise<boolean>(() => {}) }) })
    const startedAt = performance.now()
    const hold = holdOf(await engine.enter('k', { leaseMs: 90 }))
    await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    expect(performance.now() - startedAt).to.be.within(60, 200)
    expect(codeOf(hold)).to.equal(leaseLost)
  })

  it('aborts a little earlier than for the store, counted from when the lease was asked for and not from when the answer came', async () => {
    const inner = memoryStore()
    let askedAt = 0
    const answered = new Promise<void>(resolve => {
      let renewals = 0
      const changes: Partial<Store> = {
        claim: request => ((askedAt = performance.now()), inner.claim(request)),
        renew: async request => {
          if (++renewals > 1) return new Promise(() => {})
          askedAt = performance.now()
          await new Promise(later => setTimeout(later, 20))
          setImmediate(resolve)
          return inner.renew(request)
        },
      }
      store = storeWith(changes, inner)
    })
    const until = (time: number): void => {
      while (performance.now() < time);
    }
    const engine = new LockEngine({ store })
    const brief = holdOf(await engine.enter('brief', { leaseMs: 30 })).signal
    until(askedAt + 29.5)
    expect(brief.aborted, 'of a claim').to.equal(true)
    const { signal } = holdOf(await engine.enter('k', { leaseMs: 150 }))
    await answered
    until(askedAt + 149.5)
    expect(signal.aborted, 'of a renewal').to.equal(true)
  })

  it('is none while a renewal that failed can be tried again', async () => {
    const inner = memoryStore()
    let renewals = 0
    const renewed = new Promise<void>(resolve => {
      const changes: Partial<Store> = {
        renew: request => {
          if (++renewals === 1) throw new Error('away')
          resolve()
          return inner.renew(request)
        },
      }
      store = storeWith(changes, inner)
    })
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
    const next = new LockEngine({ store }).enter('k', { leaseMs: 60_000 })
    // Handed over under a lease that is much shorter than the time until the next renewal would be due.
    await holder.release()
    const hold = holdOf(await next)
    await renewed
    expect(hold.signal.aborted).to.equal(false)
    expect(await hold.release()).to.equal(true)
  })

  it('is published once, and settling and releasing answer false', async () => {
    const store = memoryStore()
    const engines = [new LockEngine({ store }), new LockEngine({ store })] as const
    const events: LostEvent[] = []
    const note = (event: unknown): void => void events.push(event as LostEvent)
    channels.lost.subscribe(note)
    const first = holdOf(await engines[0].enter('k', { leaseMs: 30, duplicates: 'replay' }))
    stall(40)
    const second = holdOf(await engines[1].enter('k', { duplicates: 'replay' }))
    expect(first.signal.aborted).to.equal(true)
    expect(await first.settle(new Uint8Array(1))).to.equal(false)
    expect(await first.release()).to.equal(false)
    expect(await second.settle(new Uint8Array(1))).to.equal(true)
    channels.lost.unsubscribe(note)
    expect(events.map(event => event.fence)).to.deep.equal([first.fence])
  })

  it('is noticed at once by a holder in another process when the key is forgotten', async () => {
    const store = memoryStore()
    const engine = new LockEngine({ store })
    const hold = holdOf(await engine.enter('k', { leaseMs: 10_000 }))
    const aborted = new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    await store.forget('k')
    await aborted
    expect(codeOf(hold)).to.equal(leaseLost)
    expect(await hold.release()).to.equal(false)
  })

  it('aborts when the lease runs out after the store was closed, which is not asked every 100 ms until then', async () => {
    const store = memoryStore()
    const hold = holdOf(await new LockEngine({ store }).enter('in a closed store', { leaseMs: 900 }))
    const { signal } = hold
    const troubles: TroubleEvent[] = []
    const note = (event: unknown): void => {
      if ((event as TroubleEvent).key === 'in a closed store') troubles.push(event as TroubleEvent)
    }
    channels.trouble.subscribe(note)
    await store.close()
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    channels.trouble.unsubscribe(note)
    expect(codeOf(hold)).to.equal(leaseLost)
    // Once in each third of the lease.
    expect(troubles).to.have.length.within(1, 3)
    expect(troubles[0]).to.deep.include({ source: 'core', operation: 'renew' })
  })

  it('aborts when the lease runs out after the engine was closed, which waits no longer for the holder', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('k', { leaseMs: 200 }))
    const aborted = new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    await engine.close({ timeoutMs: 0 })
    expect(hold.signal.aborted).to.equal(false)
    await aborted
    expect(codeOf(hold)).to.equal(leaseLost)
    expect(engine.keys).to.equal(0)
  })
})

describe('an answer that comes after the lease it grants', () => {
  /** The first `late` claims are answered only after `ms`. */
  const slowStore = (late: number, ms: number): { store: Store; claims: () => number } => {
    const inner = memoryStore()
    let claims = 0
    const store = storeWith(
      {
        claim: async request => {
          const reply = await inner.claim(request)
          if (claims++ < late) await new Promise(resolve => setTimeout(resolve, ms))
          return reply
        },
      },
      inner,
    )
    return { store, claims: () => claims }
  }

  it('starts no work: the claim is repeated first', async () => {
    const { store, claims } = slowStore(1, 40)
    const engine = new LockEngine({ store })
    const hold = holdOf(await engine.enter('k', { leaseMs: 20 }))
    expect(hold.signal.aborted).to.equal(false)
    expect(claims()).to.equal(2)
    expect(await hold.release()).to.equal(true)
  })

  it('or shortly before: the lease is renewed at once, and not when it is over', async () => {
    const { store } = slowStore(1, 450)
    const engine = new LockEngine({ store })
    const hold = holdOf(await engine.enter('k', { leaseMs: 600 }))
    const { signal } = hold
    await new Promise(resolve => setTimeout(resolve, 400))
    expect(signal.aborted).to.equal(false)
    expect(await hold.release()).to.equal(true)
  })

  it('again and again is an error that says what to do, and leaves nothing locked', async () => {
    const { store } = slowStore(Number.POSITIVE_INFINITY, 30)
    const engine = new LockEngine({ store })
    const error = await engine.enter('k', { leaseMs: 10 }).then(
      () => undefined,
      (reason: unknown) => reason as Error & { code: string },
    )
    expect(error?.code).to.equal('ERR_DSPINLOCK_STORE')
    expect(error?.message).to.match(/longer than the lease of 10 ms.*raise leaseMs/)
    expect((await store.inspect('k'))?.state ?? 'free').to.equal('free')
    expect(engine.keys).to.equal(0)
  })
})
