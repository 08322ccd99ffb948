// What a lane does when a wake, an answer, a failure or the end of a lease cross on their way.

import {
  type ClaimReply,
  type EnterOptions,
  type Entry,
  type KeyState,
  LockEngine,
  memoryStore,
  type ReleaseReply,
  type Store,
  type Wake,
} from '@dspinlock/core'
import { expect } from 'chai'
import { failure, holdOf, storeWith } from '../support/engine.js'

/** An answer that comes when the test says so. */
interface Pending<T> {
  readonly promise: Promise<T>
  resolve(value: T): void
  reject(error: Error): void
}

function pending<T>(): Pending<T> {
  let resolve: Pending<T>['resolve'] = () => {}
  let reject: Pending<T>['reject'] = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

/** Changes a store so that the answer to its first claim is under way until the test says so. */
function withLateAnswer(inner: Store): { changes: Partial<Store>; late: Pending<void>; claims: () => number } {
  const late = pending<void>()
  let claims = 0
  const changes: Partial<Store> = {
    claim: request => {
      const reply = inner.claim(request)
      return ++claims === 1 ? late.promise.then(() => reply) : reply
    },
  }
  return { changes, late, claims: () => claims }
}

/** An engine whose hold has lasted too long, and whose release is not answered before its lease has run out; another caller waits. */
async function releaseTooLate(): Promise<{
  engine: LockEngine
  answer: Pending<ReleaseReply>
  released: Promise<boolean>
  next: Promise<unknown>
}> {
  const answer = pending<ReleaseReply>()
  const engine = new LockEngine({ store: storeWith({ release: () => answer.promise }) })
  const hold = holdOf(await engine.enter('k', { leaseMs: 60, maxHoldMs: 10 }))
  const next = engine.enter('k', { waitMs: 2_000 }).then(holdOf)
  await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
  const released = Promise.resolve(hold.release())
  await new Promise(resolve => setTimeout(resolve, 80))
  return { engine, answer, released, next }
}

describe('messages that cross', () => {
  it('a release that fails after its lease has run out leaves nobody waiting for its answer', async () => {
    const { engine, answer, released, next } = await releaseTooLate()
    answer.reject(new Error('gone'))
    expect((await failure(released)).message).to.contain('gone')
    await next
    expect(engine.waiters).to.equal(0)
  })

  it('a release that comes too late leaves nobody waiting either', async () => {
    const { engine, answer, released, next } = await releaseTooLate()
    answer.resolve({ mine: false })
    expect(await released).to.equal(false)
    await next
    expect(engine.waiters).to.equal(0)
  })

  it('the claim that went with a failed release is left, so that it keeps nobody out if it arrives', async () => {
    const inner = memoryStore()
    const left: string[] = []
    let sent: string | undefined
    const changes: Partial<Store> = {
      release: request => {
        sent = request.next?.token
        return Promise.reject(new Error('gone'))
      },
      leave: (key, token) => {
        left.push(token)
        return inner.leave(key, token)
      },
    }
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const hold = holdOf(await engine.enter('k', { leaseMs: 100 }))
    const next = engine.enter('k')
    await failure(Promise.resolve(hold.release()))
    expect(left).to.deep.equal([sent])
    holdOf(await next)
  })

  it('a waiter that is left after a record that overtook an answer asks again at once, not with the next poll', async () => {
    const inner = memoryStore()
    const { changes, late } = withLateAnswer(inner)
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { duplicates: 'replay' }))
    const engine = new LockEngine({ store: storeWith(changes, inner), pollMs: 60_000 })
    const taker = engine.enter('k', { duplicates: 'replay' })
    const turn = engine.enter('k', { waitMs: 2_000 })
    expect(await holder.settle(Uint8Array.of(1))).to.equal(true)
    expect((await taker).role).to.equal('follower')
    late.resolve()
    holdOf(await turn)
  })

  it('a key that is forgotten while the answer that grants it is under way is not held', async () => {
    const inner = memoryStore()
    const { changes, late, claims } = withLateAnswer(inner)
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const entered = engine.enter('k')
    const { fence } = (await inner.inspect('k')) as KeyState
    expect(await inner.forget('k', fence)).to.equal(true)
    const other = holdOf(await new LockEngine({ store: inner }).enter('k'))
    late.resolve()
    // By now the answer has come, and the key that is not free was asked for once more.
    await new Promise(setImmediate)
    expect(claims()).to.equal(2)
    await other.release()
    expect(holdOf(await entered).fence).to.be.above(other.fence)
  })

  it('the wait of those who come while the first answer is under way begins when it is clear that they have to wait', async () => {
    const inner = memoryStore()
    let late = pending<void>()
    const changes: Partial<Store> = { claim: request => late.promise.then(() => inner.claim(request)) }
    const engine = new LockEngine({ store: storeWith(changes, inner), maxWaitersPerKey: 3 })
    const rules = { duplicates: 'replay', ttlMs: 60_000, waitMs: 0 } as const
    const ask = async (options: EnterOptions): Promise<string[]> => {
      late = pending<void>()
      const all = [1, 2, 3, 4].map(() =>
        engine.enter('k', options).then(
          entry => (entry.role === 'refused' ? entry.reason : entry.role),
          (error: { code: string }) => error.code,
        ),
      )
      await new Promise(resolve => setTimeout(resolve, 5))
      late.resolve()
      return Promise.all(all)
    }
    const limit = 'ERR_DSPINLOCK_WAITER_LIMIT'
    const timeout = 'ERR_DSPINLOCK_WAIT_TIMEOUT'
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', rules))
    expect(await ask(rules)).to.deep.equal([timeout, timeout, timeout, limit])
    const refused = 'in-flight'
    expect(await ask({ duplicates: 'reject', waitMs: 0 })).to.deep.equal([refused, refused, refused, limit])
    await holder.settle(Uint8Array.of(1))
    expect(await ask(rules)).to.deep.equal(['follower', 'follower', 'follower', limit])
    expect(await ask({ waitMs: 0 })).to.deep.equal(['holder', timeout, timeout, limit])
    expect(engine.waiters).to.equal(0)
  })

  it('a caller that comes while the answer for one that left is under way has a try of its own', async () => {
    const inner = memoryStore()
    const late = pending<void>()
    let claims = 0
    const changes: Partial<Store> = {
      claim: request => {
        const reply = inner.claim(request)
        return ++claims === 1 ? late.promise.then(() => reply) : Promise.resolve(reply)
      },
    }
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const left = new AbortController()
    const gone = engine.enter('k', { signal: left.signal })
    left.abort(new Error('left'))
    expect((await failure(gone)).message).to.equal('left')
    await holder.release()
    const next = engine.enter('k', { waitMs: 0 })
    // Long enough for a wait of 0 ms to end.
    await new Promise(resolve => setTimeout(resolve, 20))
    late.resolve()
    holdOf(await next)
  })

  /** An engine whose first claim is answered when the test says so, with the state at the time of the claim. */
  const answeredLate = (inner: Store, pollMs = 1_000): { engine: LockEngine; late: Pending<void> } => {
    const late = pending<void>()
    let claims = 0
    const changes: Partial<Store> = {
      claim: request => {
        const reply = inner.claim(request)
        return ++claims === 1 ? late.promise.then(() => reply) : Promise.resolve(reply)
      },
    }
    return { engine: new LockEngine({ store: storeWith(changes, inner), pollMs }), late }
  }
  const replay = { duplicates: 'replay', ttlMs: 60_000 } as const

  it('a caller that may not wait is not refused by an answer from before it came', async () => {
    const inner = memoryStore()
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
    const { engine, late } = answeredLate(inner)
    const left = new AbortController()
    const gone = failure(engine.enter('k', { duplicates: 'reject', signal: left.signal }))
    left.abort(new Error('left'))
    await gone
    await holder.release()
    const next = engine.enter('k', { duplicates: 'reject' })
    late.resolve()
    holdOf(await next)
  })

  it('a turn that overtakes the answer to the claim is taken at once, and not with the next poll', async () => {
    const inner = memoryStore()
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { leaseMs: 60_000 }))
    const { engine, late } = answeredLate(inner, 60_000)
    const next = engine.enter('k', { waitMs: 2_000 })
    await holder.release()
    await aMoment()
    late.resolve()
    await holdOf(await next).release()
  })

  it('a process that holds asks for none of its waiters, whatever it hears and whoever leaves', async () => {
    const inner = memoryStore()
    let claims = 0
    let onWake = (_wake: Wake): void => {}
    let token = ''
    const changes: Partial<Store> = {
      open: listener => inner.open((onWake = listener)),
      claim: request => (claims++, (token = request.token), inner.claim(request)),
    }
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const hold = holdOf(await engine.enter('k'))
    const left = new AbortController()
    const gone = failure(engine.enter('k', { signal: left.signal }))
    const next = engine.enter('k', { duplicates: 'replay' })
    left.abort(new Error('left'))
    await gone
    onWake({ kind: 'resync' })
    // Messages from while it waited, if an answer was faster.
    onWake({ kind: 'look', token })
    onWake({ kind: 'turn', token, fence: hold.fence, leaseEndsAt: performance.now() + 900 })
    expect(claims).to.equal(1)
    await hold.release()
    await holdOf(await next).release()
    expect(engine.keys).to.equal(0)
  })

  it('a caller that is first because another with other options left is given the record of the work that it waits for', async () => {
    for (const isAnswered of [true, false]) {
      const inner = memoryStore()
      const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { duplicates: 'replay' }))
      const { engine, late } = answeredLate(inner, 60_000)
      const left = new AbortController()
      const gone = failure(engine.enter('k', { signal: left.signal }))
      const next = engine.enter('k', { duplicates: 'replay', waitMs: 2_000 })
      if (isAnswered) late.resolve()
      await aMoment()
      left.abort(new Error('left'))
      await gone
      late.resolve()
      await aMoment()
      await holder.settle(Uint8Array.of(1))
      expect((await next).role).to.equal('follower')
    }
  })

  it('a caller that may wait joins the waiters at once, also behind one that may not', async () => {
    const inner = memoryStore()
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { leaseMs: 60_000 }))
    const { engine, late } = answeredLate(inner, 60_000)
    const refused = engine.enter('k', { duplicates: 'reject' })
    const next = engine.enter('k', { waitMs: 2_000 })
    late.resolve()
    expect(await refused).to.include({ reason: 'in-flight' })
    await aMoment()
    await holder.release()
    await holdOf(await next).release()
  })

  it('who came while the first answer was under way waits by its own wishes once another in this process holds', async () => {
    const { engine, late } = answeredLate(memoryStore())
    const first = engine.enter('k', { payload: 'p' })
    const other = engine.enter('k', { payload: 'q' })
    const refused = engine.enter('k', { duplicates: 'reject' })
    const brief = failure(engine.enter('k', { waitMs: 20 }))
    late.resolve()
    const hold = holdOf(await first)
    expect(await other).to.include({ reason: 'mismatch' })
    expect(await refused).to.include({ reason: 'in-flight' })
    expect((await brief).code).to.equal('ERR_DSPINLOCK_WAIT_TIMEOUT')
    expect(engine.keys, 'with a hold for which nobody waits any more').to.equal(1)
    await hold.release()
  })

  it('the place of a waiter that was served is not taken by those who wait behind it in its process', async () => {
    const store = memoryStore()
    const [a, b, c] = [1, 2, 3].map(() => new LockEngine({ store })) as [LockEngine, LockEngine, LockEngine]
    const holder = holdOf(await new LockEngine({ store }).enter('k'))
    const order: string[] = []
    const take = (engine: LockEngine, name: string): Promise<unknown> =>
      engine.enter('k', { leaveRecord: true }).then(entry => {
        order.push(name)
        return holdOf(entry).settle(new Uint8Array(1))
      })
    const turns = [take(a, 'a'), take(a, 'a again'), take(b, 'b'), take(c, 'c')]
    await holder.release()
    await Promise.all(turns)
    expect(order).to.deep.equal(['a', 'b', 'c', 'a again'])
  })

  it('the store knows of no waiter when the last one here has left', async () => {
    const store = memoryStore()
    const holder = holdOf(await new LockEngine({ store }).enter('k'))
    const engine = new LockEngine({ store })
    expect((await failure(engine.enter('k', { waitMs: 10 }))).code).to.equal('ERR_DSPINLOCK_WAIT_TIMEOUT')
    expect([engine.keys, (await store.inspect('k'))?.waiters]).to.deep.equal([0, 0])
    await holder.release()
  })

  it('a key whose holder is gone is asked for when its lease is over, and not with the next poll', async () => {
    const store = memoryStore()
    void store.claim({ key: 'k', token: 'x.1', leaseMs: 50, wait: false, takeRecord: false, payload: '', arrival: 0 })
    const engine = new LockEngine({ store, pollMs: 60_000 })
    await holdOf(await engine.enter('k', { waitMs: 2_000 })).release()
  })

  it('a record that the store did not take, because the hold was lost, is given to nobody', async () => {
    const inner = memoryStore()
    const changes: Partial<Store> = { settle: ({ key }) => (inner.forget(key), false) }
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const hold = holdOf(await engine.enter('k', { duplicates: 'replay' }))
    const next = engine.enter('k', { duplicates: 'replay' })
    expect(await hold.settle(Uint8Array.of(1))).to.equal(false)
    await holdOf(await next).release()
  })

  it('a record that the store was told of too late is given to nobody', async () => {
    const inner = memoryStore()
    const answer = pending<boolean>()
    const engine = new LockEngine({ store: storeWith({ settle: () => answer.promise }, inner) })
    const hold = holdOf(await engine.enter('k', { duplicates: 'replay', leaseMs: 30 }))
    const next = engine.enter('k', { duplicates: 'replay' })
    const settled = failure(Promise.resolve(hold.settle(Uint8Array.of(1))))
    await new Promise(resolve => setTimeout(resolve, 40))
    answer.reject(new Error('away'))
    expect((await settled).code).to.equal('ERR_DSPINLOCK_STORE')
    holdOf(await next)
  })

  it('a claim that failed although the store carried it out is left', async () => {
    const inner = memoryStore()
    const engine = new LockEngine({
      store: storeWith({ claim: request => (void inner.claim(request), Promise.reject(new Error('cut off'))) }, inner),
    })
    expect((await failure(engine.enter('k'))).code).to.equal('ERR_DSPINLOCK_STORE')
    expect(await inner.inspect('k')).to.equal(undefined)
  })

  it('a hold that is taken away while its release is under way leaves nobody waiting', async () => {
    const inner = memoryStore()
    const answer = pending<ReleaseReply>()
    const engine = new LockEngine({ store: storeWith({ release: () => answer.promise }, inner) })
    const hold = holdOf(await engine.enter('k'))
    const next = engine.enter('k', { waitMs: 2_000 })
    const released = Promise.resolve(hold.release())
    expect(await engine.forget('k', hold.fence)).to.equal(true)
    answer.resolve({ mine: false })
    expect(await released).to.equal(false)
    holdOf(await next)
  })

  it('a claim that is under way is not sent again by the poll, and what comes meanwhile makes one more', async () => {
    const inner = memoryStore()
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { leaseMs: 60_000 }))
    const answers: Pending<void>[] = []
    let onWake = (_wake: Wake): void => {}
    const changes: Partial<Store> = {
      open: listener => inner.open((onWake = listener)),
      claim: request => {
        const answer = pending<void>()
        answers.push(answer)
        const reply = inner.claim(request)
        return answer.promise.then(() => reply)
      },
    }
    const engine = new LockEngine({ store: storeWith(changes, inner), pollMs: 40 })
    const next = engine.enter('k')
    answers[0]?.resolve()
    await aMoment()
    onWake({ kind: 'resync' })
    await new Promise(resolve => setTimeout(resolve, 50))
    expect(answers, 'while the second is under way').to.have.length(2)
    onWake({ kind: 'resync' })
    answers[1]?.resolve()
    await aMoment()
    expect(answers, 'after the second').to.have.length(3)
    answers[2]?.resolve()
    await aMoment()
    expect(answers, 'after the third').to.have.length(3)
    await holder.release()
    await holdOf(await next).release()
  })

  it('a caller that may not wait is refused at once if this process knows that the key is busy, and the others wait on', async () => {
    const store = memoryStore()
    const holder = holdOf(await new LockEngine({ store }).enter('k', { leaseMs: 60_000, payload: 'p' }))
    const engine = new LockEngine({ store, pollMs: 60_000 })
    const next = engine.enter('k', { payload: 'p' })
    expect(await engine.enter('k', { payload: 'p', duplicates: 'reject' })).to.include({ reason: 'in-flight' })
    expect(await engine.enter('k', { payload: 'q' })).to.include({ reason: 'mismatch' })
    await holder.release()
    await holdOf(await next).release()
  })

  it('a pass mark is for all in this process that would take a record, also behind one that wants a turn', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('k'))
    const turn = engine.enter('k')
    const taker = engine.enter('k', { duplicates: 'replay' })
    expect(await hold.release({ passMs: 60_000 })).to.equal(true)
    expect((await taker).role).to.equal('pass')
    await holdOf(await turn).release()
  })

  it('a pass mark of a hold that was lost is for nobody', async () => {
    const inner = memoryStore()
    const changes: Partial<Store> = { release: ({ key }) => (inner.forget(key), { mine: false }) }
    const engine = new LockEngine({ store: storeWith(changes, inner) })
    const hold = holdOf(await engine.enter('k'))
    const taker = engine.enter('k', { duplicates: 'replay' })
    expect(await hold.release({ passMs: 60_000 })).to.equal(false)
    holdOf(await taker)
  })

  it('the end of a hold that was lost does not disturb who waits behind the next one', async () => {
    const inner = memoryStore()
    const engine = new LockEngine({ store: inner, pollMs: 60_000 })
    const hold = holdOf(await engine.enter('k'))
    const next = engine.enter('k', { waitMs: 2_000 })
    void inner.forget('k')
    const other = {
      key: 'k',
      token: 'other.1',
      leaseMs: 60_000,
      wait: true,
      takeRecord: false,
      payload: '',
      arrival: 0,
    }
    expect(inner.claim(other)).to.include({ state: 'held' })
    await aMoment()
    expect(await hold.release()).to.equal(false)
    void inner.release({ key: 'k', token: 'other.1', passMs: 0, maxLocalTurns: 0 })
    await holdOf(await next).release()
  })

  it('a turn that lasts for a moment only is taken after another question to the store', async () => {
    for (const [grantMs, questions] of [[200, 2] as const, [900, 1] as const]) {
      const inner = memoryStore({ grantMs })
      let [claims, leaves] = [0, 0]
      const changes: Partial<Store> = {
        claim: request => (claims++, inner.claim(request)),
        leave: (key, token) => (leaves++, inner.leave(key, token)),
      }
      const engine = new LockEngine({ store: storeWith(changes, inner) })
      const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
      const next = engine.enter('k')
      await holder.release()
      await holdOf(await next).release()
      expect([claims, leaves], `${grantMs} ms`).to.deep.equal([questions, 0])
    }
  })

  /** What a caller with the payload `b` gets if the caller before it, with `a`, left while its claim was under way. */
  const behindOneWhoLeft = async (inner: Store): Promise<Entry> => {
    const { engine, late } = answeredLate(inner)
    const left = new AbortController()
    const gone = engine.enter('k', { ...replay, payload: 'a', signal: left.signal })
    const next = engine.enter('k', { ...replay, payload: 'b' })
    left.abort(new Error('left'))
    await failure(gone)
    late.resolve()
    return next
  }
  /** Leaves the record of a holder with this payload. */
  const leaveRecord = async (inner: Store, payload: string): Promise<void> => {
    const hold = holdOf(await new LockEngine({ store: inner }).enter('k', { ...replay, payload }))
    await hold.settle(Uint8Array.of(1))
  }

  it('a key that was given for one payload is not taken for another when its claimer left meanwhile', async () => {
    const inner = memoryStore()
    await holdOf(await behindOneWhoLeft(inner)).settle(Uint8Array.of(1))
    const other = new LockEngine({ store: inner })
    expect(await other.enter('k', { ...replay, payload: 'a' })).to.include({ role: 'refused', reason: 'mismatch' })
    expect((await other.enter('k', { ...replay, payload: 'b' })).role).to.equal('follower')
  })

  it('a record that was given for one payload answers no other when its claimer left meanwhile', async () => {
    const inner = memoryStore()
    await leaveRecord(inner, 'a')
    expect(await behindOneWhoLeft(inner)).to.include({ role: 'refused', reason: 'mismatch' })
  })

  it('a mismatch of one payload refuses no other when its claimer left meanwhile', async () => {
    const inner = memoryStore()
    await leaveRecord(inner, 'b')
    expect((await behindOneWhoLeft(inner)).role).to.equal('follower')
  })

  it('a record that was given without a payload is no answer to who waits behind with one', async () => {
    const inner = memoryStore()
    await leaveRecord(inner, 'a')
    const { engine, late } = answeredLate(inner)
    const any = engine.enter('k', replay)
    const next = engine.enter('k', { ...replay, payload: 'b' })
    late.resolve()
    expect((await any).role).to.equal('follower')
    expect(await next).to.include({ role: 'refused', reason: 'mismatch' })
  })

  it('the record of a hold without a payload is for all that waited, without asking the store', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const [first, next] = [engine.enter('k', { duplicates: 'replay' }), engine.enter('k', { ...replay, payload: 'b' })]
    await holdOf(await first).settle(Uint8Array.of(1))
    expect((await next).role).to.equal('follower')
  })

  it('a key that was given for a short lease is not held under a longer one when its claimer left meanwhile', async () => {
    const { engine, late } = answeredLate(memoryStore())
    const left = new AbortController()
    const gone = engine.enter('k', { leaseMs: 500, signal: left.signal })
    const next = engine.enter('k', { leaseMs: 60_000 })
    left.abort(new Error('left'))
    await failure(gone)
    late.resolve()
    holdOf(await next)
    expect((await engine.inspect('k'))?.leaseLeftMs).to.be.above(50_000)
  })

  for (const isAnswered of [true, false]) {
    it(`the waiter that is first when another left ${isAnswered ? 'while it waited' : 'before it waited'} waits as it wishes`, async () => {
      const inner = memoryStore()
      const holder = holdOf(await new LockEngine({ store: inner }).enter('k', replay))
      const { engine, late } = answeredLate(inner)
      if (isAnswered) late.resolve()
      const left = new AbortController()
      const gone = engine.enter('k', { signal: left.signal })
      const next = engine.enter('k', { duplicates: 'replay', payload: 'b' })
      await new Promise(setImmediate)
      left.abort(new Error('left'))
      await failure(gone)
      late.resolve()
      await new Promise(setImmediate)
      expect((await inner.inspect('k'))?.waiters).to.equal(1)
      await holder.settle(Uint8Array.of(1))
      expect((await next).role).to.equal('follower')
      expect((await inner.inspect('k'))?.waiters).to.equal(0)
    })
  }

  it('who waits behind one that may not wait is among the waiters, also where another stood in front that has left', async () => {
    const inner = memoryStore()
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', replay))
    const { engine, late } = answeredLate(inner, 60_000)
    const left = new AbortController()
    const gone = engine.enter('k', { signal: left.signal })
    const refused = engine.enter('k', { duplicates: 'reject' })
    const next = engine.enter('k', { duplicates: 'replay' })
    left.abort(new Error('left'))
    await failure(gone)
    late.resolve()
    expect(await refused).to.include({ reason: 'in-flight' })
    await new Promise(setImmediate)
    expect((await inner.inspect('k'))?.waiters).to.equal(1)
    await holder.release()
    await holdOf(await next).release()
  })

  it('a key that is given back leaves who stands behind in this process its place among the others', async () => {
    const inner = memoryStore()
    const late = pending<void>()
    let tell: (wake: Wake) => void = () => {}
    const changes: Partial<Store> = {
      claim: request => {
        const reply = inner.claim(request) as ClaimReply
        return reply.state === 'held' ? late.promise.then(() => reply) : reply
      },
      // The store's messages are lost, and the test delivers one later.
      open: onWake => {
        tell = onWake
        return inner.open(() => {})
      },
    }
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
    const engine = new LockEngine({ store: storeWith(changes, inner), pollMs: 20 })
    const left = new AbortController()
    const served: string[] = []
    const serve = async (name: string, entry: Promise<Entry>): Promise<void> => {
      const hold = holdOf(await entry)
      served.push(name)
      await hold.release()
    }
    const gone = engine.enter('k', { ...replay, payload: 'a', signal: left.signal })
    const others = ['behind', 'last'].map(name => [name, new LockEngine({ store: inner })] as const)
    const turns = [serve('next', engine.enter('k')), ...others.map(([name, by]) => serve(name, by.enter('k')))]
    await holder.release()
    tell({ kind: 'resync' })
    left.abort(new Error('left'))
    await failure(gone)
    late.resolve()
    await Promise.all(turns)
    expect(served).to.deep.equal(['behind', 'next', 'last'])
  })

  it('a turn that was given for one payload is not taken for another', async () => {
    const inner = memoryStore()
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k'))
    const { engine, late } = answeredLate(inner)
    const left = new AbortController()
    const gone = engine.enter('k', { ...replay, payload: 'a', signal: left.signal })
    const next = engine.enter('k', { ...replay, payload: 'b' })
    left.abort(new Error('left'))
    await failure(gone)
    await holder.release()
    late.resolve()
    await holdOf(await next).settle(Uint8Array.of(1))
    const other = new LockEngine({ store: inner })
    expect(await other.enter('k', { ...replay, payload: 'a' })).to.include({ role: 'refused', reason: 'mismatch' })
  })

  it('a resync while a release is under way makes its next claim ask again', async () => {
    const inner = memoryStore({ grantMs: 60_000 })
    const late = pending<void>()
    let tell: (wake: Wake) => void = () => {}
    const changes: Partial<Store> = {
      release: async request => {
        const reply = await inner.release({ ...request, maxLocalTurns: 0 })
        await late.promise
        return reply
      },
      // The store's messages are lost, and the test delivers one later.
      open: onWake => {
        tell = onWake
        return inner.open(() => {})
      },
    }
    const other = new LockEngine({ store: inner })
    const engine = new LockEngine({ store: storeWith(changes, inner), pollMs: 60_000 })
    const hold = holdOf(await engine.enter('k'))
    const theirs = other.enter('k')
    const next = engine.enter('k', { waitMs: 2_000 })
    const released = hold.release()
    await holdOf(await theirs).release()
    tell({ kind: 'resync' })
    late.resolve()
    expect(await released).to.equal(true)
    holdOf(await next)
  })

  /** Longer than a store in the same process takes to answer, so that a caller which comes afterwards is later by every clock. */
  const aMoment = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 5))

  it('a record whose message was lost is for callers that waited, and not for those that came after the work was done', async () => {
    const inner = memoryStore()
    const changes: Partial<Store> = { open: onWake => inner.open(wake => wake.kind === 'record' || onWake(wake)) }
    const engine = new LockEngine({ store: storeWith(changes, inner), pollMs: 100 })
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { duplicates: 'replay' }))
    const waited = engine.enter('k', { duplicates: 'replay' })
    await holder.settle(Uint8Array.of(1))
    await aMoment()
    const came = engine.enter('k', { duplicates: 'replay' })
    expect((await waited).role).to.equal('follower')
    holdOf(await came)
  })

  it('nor for who came then and stands first because another left', async () => {
    const inner = memoryStore()
    const [engine, theirs] = [new LockEngine({ store: inner }), new LockEngine({ store: inner })]
    const holder = holdOf(await new LockEngine({ store: inner }).enter('k', { duplicates: 'replay' }))
    const turn = theirs.enter('k')
    const left = new AbortController()
    const waited = engine.enter('k', { duplicates: 'replay' })
    const gone = engine.enter('k', { signal: left.signal })
    await holder.settle(Uint8Array.of(1))
    expect((await waited).role).to.equal('follower')
    const write = holdOf(await turn)
    await aMoment()
    const came = engine.enter('k', { duplicates: 'replay' })
    left.abort(new Error('left'))
    await failure(gone)
    await write.release()
    holdOf(await came)
    expect([engine.waiters, (await inner.inspect('k'))?.waiters]).to.deep.equal([0, 0])
  })
})
