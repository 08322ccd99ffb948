// What the engine promises, in one process with two engines on one store.

import { AsyncLocalStorage } from 'node:async_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { ClosedError, type Hold, LockEngine, memoryStore, Policy, type Store, StoreError } from '@dspinlock/core'
import { expect } from 'chai'
import { failure, holdOf, storeWith } from '../support/engine.js'

describe('LockEngine', () => {
  it('never lets two in at once, in order of arrival, under growing fences', async () => {
    const store = memoryStore()
    const engines = [new LockEngine({ store }), new LockEngine({ store })] as const
    let inside = 0
    let most = 0
    const fences: number[] = []
    const work = async ({ fence }: { fence: number | undefined }): Promise<void> => {
      most = Math.max(most, ++inside)
      fences.push(fence ?? 0)
      await new Promise(resolve => setImmediate(resolve))
      inside--
    }
    await Promise.all(Array.from({ length: 200 }, (_, n) => engines[n % 2 === 0 ? 0 : 1].run('k', work)))
    expect(most).to.equal(1)
    expect(fences).to.have.length(200)
    expect(fences).to.deep.equal([...new Set(fences)].sort((a, b) => a - b))
    const order: number[] = []
    const holder = holdOf(await engines[0].enter('o'))
    const waiting = [0, 1, 2, 3].map(n => engines[0].run('o', () => order.push(n)))
    await holder.release()
    await Promise.all(waiting)
    expect(order).to.deep.equal([0, 1, 2, 3])
    expect([engines[0].keys, engines[1].keys, engines[0].waiters]).to.deep.equal([0, 0, 0])
  })

  it('sends one claim for a key at a time, however many want it', async () => {
    const inner = memoryStore()
    let claims = 0
    const store = storeWith({
      claim: request => (claims++, inner.claim(request)),
      settle: r => inner.settle(r),
      open: f => inner.open(f),
    })
    const engine = new LockEngine({ store })
    const all = Array.from({ length: 100 }, () =>
      engine.run('k', () => new Promise(resolve => setTimeout(resolve, 20, 'result')), { duplicates: 'replay' }),
    )
    expect(new Set(await Promise.all(all))).to.deep.equal(new Set(['result']))
    expect(claims).to.equal(1)
  })

  it('work that throws leaves no record, its own error is what the caller sees, and the next one runs', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const options = { duplicates: 'replay', ttlMs: 60_000 } as const
    const fault = new Error('of the work')
    const first = failure(engine.run('k', () => Promise.reject(fault), options))
    const second = engine.run('k', () => 'second', options)
    expect(await first).to.equal(fault)
    expect(await second).to.equal('second')
    expect(await engine.run('k', () => 'third', options)).to.equal('second')
  })

  it('options that are none, or that there are not, are refused with the names of all that there are, and the work does not run', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    let runs = 0
    const names =
      'duplicates, ttlMs, whileInFlight, leaseMs, waitMs, maxHoldMs, leaveRecord, pollMs, signal, payload, label'
    for (const [given, ofEnter, ofRun = ofEnter] of [
      [5_000, 'option argument of enter must be an object of options, but received 5000'],
      [null, 'option argument of enter must be an object of options, but received null'],
      [{ ttl: 1 }, `unknown option "ttl" for enter; it takes ${names}`, `takes ${names}, codec`],
    ] as const) {
      const ofEach = [
        [await failure(engine.enter('key', given as never)), ofEnter],
        [await failure(engine.run('key', () => runs++, given as never)), ofRun.replace('enter', 'run')],
      ] as const
      for (const [error, message] of ofEach) {
        expect(error).to.be.instanceOf(TypeError)
        expect(error.message).to.contain(message)
      }
    }
    expect(() => new Policy({ signal: AbortSignal.abort() } as never)).to.throw('unknown option "signal" for Policy')
    expect(runs).to.equal(0)
    await engine.close()
  })

  it('ends every wait: by timeout, by abort, by limit, by closing', async () => {
    const engine = new LockEngine({ store: memoryStore(), maxWaitersPerKey: 2 })
    const holder = holdOf(await engine.enter('k'))
    expect((await failure(engine.enter('k', { waitMs: 10 }))).code).to.equal('ERR_DSPINLOCK_WAIT_TIMEOUT')
    const abort = new AbortController()
    const aborted = failure(engine.enter('k', { signal: abort.signal }))
    abort.abort(new Error('enough'))
    expect((await aborted).message).to.equal('enough')
    const waiting = [failure(engine.enter('k')), failure(engine.enter('k'))]
    expect((await failure(engine.enter('k'))).code).to.equal('ERR_DSPINLOCK_WAITER_LIMIT')
    const closed = engine.close()
    for (const one of waiting) expect((await one).code).to.equal('ERR_DSPINLOCK_CLOSED')
    expect((await failure(engine.enter('k'))).code).to.equal('ERR_DSPINLOCK_CLOSED')
    expect(await holder.release()).to.equal(true)
    await closed
  })

  it('ends the wait of who comes after all others have left, and keeps no timer for those', async () => {
    const store = memoryStore()
    const [engine, other] = [new LockEngine({ store }), new LockEngine({ store })]
    const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    // Mocha starts its own timer when the test first awaits something.
    await new Promise(setImmediate)
    const before = timers()
    const hold = holdOf(await engine.enter('k'))
    for (const one of [engine, other]) {
      const left = new AbortController()
      const gone = failure(one.enter('k', { waitMs: 30, signal: left.signal }))
      left.abort(new Error('left'))
      await gone
      expect(timers()).to.equal(before)
      expect((await failure(one.enter('k', { waitMs: 60 }))).code).to.equal('ERR_DSPINLOCK_WAIT_TIMEOUT')
      expect(timers()).to.equal(before)
    }
    await hold.release()
  })

  it('tells the store of an end once, however often the hold is ended', async () => {
    const inner = memoryStore()
    const ends: string[] = []
    const changes: Partial<Store> = {
      settle: request => (ends.push('settle'), Promise.resolve(inner.settle(request))),
      release: request => (ends.push('release'), Promise.resolve(inner.release(request))),
    }
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const settled = holdOf(await engine.enter('k', { duplicates: 'replay' }))
    const first = settled.settle(Uint8Array.of(1))
    expect([await settled.settle(Uint8Array.of(2)), await settled.release()]).to.deep.equal([false, false])
    await settled[Symbol.asyncDispose]()
    expect(await first).to.equal(true)
    const released = holdOf(await engine.enter('k', { duplicates: 'replay' }))
    const second = released.release()
    expect([await released.release(), await released.settle(Uint8Array.of(2))]).to.deep.equal([false, false])
    expect(await second).to.equal(true)
    expect(ends).to.deep.equal(['settle', 'release'])
  })

  it('gives who comes first a key that is free, though as many wait for others as may', async () => {
    const engine = new LockEngine({ store: memoryStore(), maxWaiters: 1 })
    const hold = holdOf(await engine.enter('k'))
    const next = engine.enter('k')
    await holdOf(await engine.enter('free')).release()
    await hold.release()
    await holdOf(await next).release()
    const others = new LockEngine({ store: engine.store })
    const holds = await Promise.all(['a', 'b'].map(key => others.enter(key)))
    const waiting = engine.enter('a')
    expect((await failure(engine.enter('b'))).code, 'first of its key').to.equal('ERR_DSPINLOCK_WAITER_LIMIT')
    for (const held of holds) await holdOf(held).release()
    await holdOf(await waiting).release()
    expect([engine.waiters, engine.keys]).to.deep.equal([0, 0])
  })

  it('of those who wait for one key, each waits for its own time', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const holder = holdOf(await engine.enter('k'))
    const startedAt = performance.now()
    const ended: number[] = []
    const waits = [300, 100, 200].map(async waitMs => {
      const { code } = await failure(engine.enter('k', { waitMs }))
      ended.push(waitMs)
      expect([code, performance.now() - startedAt >= waitMs]).to.deep.equal(['ERR_DSPINLOCK_WAIT_TIMEOUT', true])
    })
    // The caller whose time is over first has left by then.
    const abort = new AbortController()
    const aborted = failure(engine.enter('k', { waitMs: 10, signal: abort.signal }))
    abort.abort()
    await aborted
    await Promise.all(waits)
    expect([ended, engine.waiters]).to.deep.equal([[100, 200, 300], 0])
    await holder.release()
  })

  it('also when the time of one who stands first is over, and those behind have an answer by that', async () => {
    const store = memoryStore()
    const holder = holdOf(await new LockEngine({ store }).enter('k', { payload: 'y' }))
    const engine = new LockEngine({ store })
    const startedAt = performance.now()
    const first = failure(engine.enter('k', { waitMs: 20 }))
    const others = [1, 2].map(() => engine.enter('k', { payload: 'x', waitMs: 2_000 }))
    const last = failure(engine.enter('k', { payload: 'y', waitMs: 40 }))
    for (const other of others) expect(await other).to.include({ role: 'refused', reason: 'mismatch' })
    for (const wait of [first, last]) expect((await wait).code).to.equal('ERR_DSPINLOCK_WAIT_TIMEOUT')
    expect(performance.now() - startedAt).to.be.below(1_900)
    await holder.release()
  })

  it('asked for an answer at once, tells what it can without waiting, and leaves nothing of who would have to wait', async () => {
    const store = memoryStore()
    const [engine, other] = [new LockEngine({ store }), new LockEngine({ store })]
    const serialise = new Policy()
    const reject = new Policy({ duplicates: 'reject', ttlMs: 60_000 })
    const holder = holdOf(await other.enter('k', { duplicates: 'replay', ttlMs: 60_000 }))
    expect(engine.enterAtOnce('k', serialise)).to.equal(undefined)
    expect(engine.enterAtOnce('k', reject)).to.include({ role: 'refused', reason: 'in-flight' })
    expect([engine.keys, (await store.inspect('k'))?.waiters]).to.deep.equal([0, 0])
    const waiting = engine.enter('k')
    expect(engine.enterAtOnce('k', serialise), 'behind one who waits').to.equal(undefined)
    await holder.release()
    await holdOf(await waiting).settle(new Uint8Array(1))
    const hold = holdOf(
      engine.enterAtOnce('k', new Policy({ duplicates: 'replay', ttlMs: 60_000 })) ?? { role: 'pass' },
    )
    expect(engine.enterAtOnce('k', serialise), 'behind one who holds').to.equal(undefined)
    await hold.settle(Uint8Array.of(1))
    expect(engine.enterAtOnce('k', reject)).to.include({ role: 'refused', reason: 'settled' })
    expect(engine.keys).to.equal(0)
  })

  it('renews what it holds under many leases, also when others of the same lease end', async () => {
    const inner = memoryStore()
    const leases = Array.from({ length: 17 }, (_, n) => 60_000 + n)
    await new Promise<void>(resolve => {
      const changes: Partial<Store> = {
        renew: request => {
          if (request.key === 'kept') resolve()
          return inner.renew(request)
        },
      }
      const engine = new LockEngine({ store: storeWith(changes, inner) })
      void (async () => {
        await Promise.all(leases.map(leaseMs => engine.enter(`of ${leaseMs}`, { leaseMs })))
        await engine.enter('kept', { leaseMs: 600 })
        await holdOf(await engine.enter('ended', { leaseMs: 600 })).release()
      })()
    })
  })

  it('renews a hold that was handed over under a short lease at once', async () => {
    const inner = memoryStore()
    const renewed = new Promise<number>(resolve => {
      const changes: Partial<Store> = { renew: request => (resolve(performance.now()), inner.renew(request)) }
      const engine = new LockEngine({ store: storeWith(changes, inner) })
      void (async () => {
        const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
        const next = engine.enter('k', { leaseMs: 2_600 })
        await holder.release()
        await next
      })()
    })
    const startedAt = performance.now()
    expect((await renewed) - startedAt).to.be.below(800)
  })

  it('a hold is not renewed in the async context of another call', async () => {
    const context = new AsyncLocalStorage<string>()
    const inner = memoryStore()
    const seen: unknown[] = []
    let renewed = (): void => {}
    const store = storeWith(
      { renew: request => (seen.push(context.getStore()), renewed(), inner.renew(request)) },
      inner,
    )
    const engine = new LockEngine({ store })
    const first = await context.run('of the first', () => engine.enter('k', { leaseMs: 300 }))
    await holdOf(first).release()
    const hold = holdOf(await context.run('of the second', () => engine.enter('k', { leaseMs: 300 })))
    await new Promise<void>(resolve => (renewed = () => seen.length === 2 && resolve()))
    expect(seen).to.deep.equal([undefined, undefined])
    await hold.release()
  })

  it('a lease that the store refuses to renew aborts the signal, and nothing can be stored under it', async () => {
    const engine = new LockEngine({ store: storeWith({ renew: () => false, settle: () => false }) })
    const hold = holdOf(await engine.enter('k', { leaseMs: 30, duplicates: 'replay' }))
    await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    expect((hold.signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
    expect(await hold.settle(new Uint8Array(1))).to.equal(false)
  })

  it('a lease that cannot be renewed in time aborts the signal when it runs out', async () => {
    const engine = new LockEngine({ store: storeWith({ renew: () => Promise.reject(new Error('away')) }) })
    const hold = holdOf(await engine.enter('k', { leaseMs: 60 }))
    const startedAt = performance.now()
    await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    expect(performance.now() - startedAt).to.be.within(40, 1_000)
    expect((hold.signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
  })

  it('a hold longer than maxHoldMs aborts, and the next one gets the key after the lease', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('k', { leaseMs: 60, maxHoldMs: 40 }))
    const next = engine.enter('k')
    await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    expect((hold.signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_HOLD_TIMEOUT')
    const second = holdOf(await next)
    expect(second.fence).to.be.above(hold.fence)
    expect(await hold.release()).to.equal(false)
    await second.release()
  })

  it('a hold that ended leaves nothing behind, however much longer it might have lasted', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const engine = new LockEngine({ store: memoryStore() })
    const work = async (): Promise<WeakRef<Hold>> => {
      const hold = holdOf(await engine.enter('k', { leaseMs: 2_000_000, maxHoldMs: 300_000 }))
      await hold.release()
      return new WeakRef(hold)
    }
    const holds = await Promise.all(Array.from({ length: 20 }, work))
    // Only after this turn can a WeakRef that was made in it lose its target.
    await new Promise(setImmediate)
    collect()
    // The last one may still be in a register.
    expect(holds.filter(hold => hold.deref() !== undefined)).to.have.length.below(3)
  })

  it('remembers nothing of claims and holds that have ended, in whichever way', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const store = memoryStore()
    const [engine, other] = [new LockEngine({ store }), new LockEngine({ store })]
    const policy = new Policy()
    const held = holdOf(await other.enter('held'))
    const round = async (): Promise<void> => {
      const hold = holdOf(await engine.enter('k'))
      const next = engine.enter('k')
      await hold.release()
      await holdOf(await next).release()
      engine.enterAtOnce('held', policy)
    }
    const heapAfter = async (rounds: number): Promise<number> => {
      for (let n = 0; n < rounds; n++) await round()
      collect()
      return process.memoryUsage().heapUsed
    }
    const before = await heapAfter(2_000)
    expect((await heapAfter(20_000)) - before).to.be.below(1_000_000)
    await held.release()
  })

  it('a record that is no bytes is refused before the store sees it, and the hold goes on', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('k', { duplicates: 'replay', ttlMs: 60_000 }))
    for (const record of [
      'text',
      undefined,
      new ArrayBuffer(1),
      Promise.resolve(Uint8Array.of(1)),
      Uint16Array.of(1),
    ]) {
      expect(() => hold.settle(record as never)).to.throw(TypeError, 'option record must be a Uint8Array, but received')
    }
    const elsewhere = runInNewContext('Uint8Array.of(1, 2)') as Uint8Array
    expect(hold.settle(elsewhere)).to.equal(true)
    expect(await engine.enter('k', { duplicates: 'replay' })).to.deep.include({ role: 'follower', record: elsewhere })
    const next = holdOf(await engine.enter('another'))
    expect(await next.settle(undefined as never), 'which leaves none').to.equal(true)
  })

  it('a store that was closed is a ClosedError for who asks and for who waits, with the key', async () => {
    const store = memoryStore()
    const [holder, engine] = [new LockEngine({ store }), new LockEngine({ store, pollMs: 20 })]
    await holder.enter('k')
    const waiting = failure(engine.enter('k'))
    await store.close()
    for (const one of [waiting, failure(engine.enter('k')), failure(engine.run('k', () => 1))])
      expect(await one).to.include({ code: 'ERR_DSPINLOCK_CLOSED', key: 'k' })
    expect(() => engine.enterAtOnce('k', new Policy())).to.throw(ClosedError)
  })

  it('a store that fails is a StoreError for who waits, and does not take the result from who worked', async () => {
    const broken = new LockEngine({ store: storeWith({ claim: () => Promise.reject(new Error('away')) }) })
    expect(await failure(broken.enter('k'))).to.be.instanceOf(StoreError)
    const forgetful = new LockEngine({ store: storeWith({ settle: () => Promise.reject(new Error('away')) }) })
    const options = { duplicates: 'replay' } as const
    const first = forgetful.run('k', () => new Promise(resolve => setTimeout(resolve, 10, 'mine')), options)
    const second = forgetful.run('k', () => 'its own', options)
    expect([await first, await second]).to.deep.equal(['mine', 'mine'])
  })

  it("what was done under 'reject' has no result to replay, and who asks for one is told that it was done", async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const again = (): never => expect.fail('the work was done')
    const codec = { encode: (text: string) => Buffer.from(text), decode: (bytes: Uint8Array) => String(bytes) }
    const work = (): Promise<unknown> => new Promise(resolve => setImmediate(resolve, () => 'no JSON'))
    const first = engine.run('k', work, { duplicates: 'reject', ttlMs: 60_000 })
    const waiting = failure(engine.run('k', again, { duplicates: 'replay' }))
    await first
    const later = failure(engine.run('k', again, { duplicates: 'replay', codec }))
    for (const error of [await waiting, await later]) {
      expect(error).to.include({ code: 'ERR_DSPINLOCK_DUPLICATE', reason: 'settled' })
    }
    expect(await engine.run('empty', () => '', { duplicates: 'replay', ttlMs: 60_000, codec })).to.equal('')
    expect(await engine.run('empty', again, { duplicates: 'replay', codec })).to.equal('')
    expect(await engine.run('void', () => undefined, { duplicates: 'replay', ttlMs: 60_000 })).to.equal(undefined)
    expect(await engine.run('void', again, { duplicates: 'replay' })).to.equal(undefined)
  })

  it('a store may answer with promises of any implementation, as all async functions do once zone.js is loaded', async () => {
    const Elsewhere = runInNewContext('Promise') as PromiseConstructor
    const inner = memoryStore()
    const mine = { renew: true }
    const store = storeWith({
      synchronous: false,
      claim: request => Elsewhere.resolve(inner.claim(request)),
      renew: () => Elsewhere.resolve(mine.renew),
      settle: request => Elsewhere.resolve(inner.settle(request)),
      release: request => Elsewhere.resolve(inner.release(request)),
      leave: (key, token) => Elsewhere.resolve(inner.leave(key, token)),
    })
    const engine = new LockEngine({ store })
    const work = (): Promise<number> => new Promise(resolve => setImmediate(resolve, 1))
    expect(await Promise.all([engine.run('k', work), engine.run('k', work)])).to.deep.equal([1, 1])
    const hold = holdOf(await engine.enter('lost', { leaseMs: 30 }))
    mine.renew = false
    await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    expect((hold.signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
    const broken = new LockEngine({ store: storeWith({ claim: () => Elsewhere.reject(new Error('away')) }) })
    expect(await failure(broken.enter('k'))).to.be.instanceOf(StoreError)
    const renamed = new LockEngine({ store: storeWith({ claim: request => Elsewhere.resolve(inner.claim(request)) }) })
    expect(() => renamed.enterAtOnce('k2', new Policy())).to.throw(StoreError, 'set synchronous to false')
  })

  it("'reject' refuses in flight and until ttlMs after; a mismatch is told apart; a pass mark lets all run", async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const reject = { duplicates: 'reject', ttlMs: 60_000 } as const
    const hold = holdOf(await engine.enter('k', reject))
    expect(await engine.enter('k', reject)).to.include({ role: 'refused', reason: 'in-flight' })
    await hold.settle(new Uint8Array(0))
    expect(await engine.enter('k', reject)).to.include({ role: 'refused', reason: 'settled' })
    const replay = { duplicates: 'replay', payload: 'a' } as const
    const first = holdOf(await engine.enter('p', replay))
    expect(await engine.enter('p', { ...replay, payload: 'b' })).to.include({ role: 'refused', reason: 'mismatch' })
    const waiting = [engine.enter('p', replay), engine.enter('p', replay)]
    await first.release({ passMs: 1_000 })
    expect((await Promise.all(waiting)).map(entry => entry.role)).to.deep.equal(['pass', 'pass'])
  })
})
