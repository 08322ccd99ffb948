// The contract: waiting for a key, being handed it, and giving up.

import { deepEqual, equal, ok } from 'node:assert/strict'
import type { ClaimRequest } from '../store.js'
import { bytes, type Claimant, type ContractCase, pause } from './bench.js'

/** How long a wake's lease still lasts in this process's time, which the reply `busy` to the claim relates to the store's. */
function leaseLeft(wake: { readonly leaseEndsAt: number }, clockAheadMs: number): number {
  return wake.leaseEndsAt - (performance.now() + clockAheadMs)
}

function nextClaim(claimant: Claimant, key: string): ClaimRequest {
  return { key, token: claimant.token(), leaseMs: 10_000, wait: true, takeRecord: false, payload: '', arrival: 0 }
}

export const waitCases: readonly ContractCase[] = [
  {
    name: 'a release hands the key to the first waiter, which then holds it',
    async run({ a, b, key }) {
      const { token, fence } = await a.hold(key)
      const queued = await b.queue(key)
      await a.release(key, token)
      const wake = await b.wake(queued.token)
      ok(wake.kind === 'turn' && wake.fence > fence)
      const left = leaseLeft(wake, queued.clockAheadMs)
      ok(left > 0 && left <= 1_000, `${left} ms left of the grant`)
      equal(await b.store.renew({ key, token: queued.token, leaseMs: 10_000 }), true)
      deepEqual(await b.claim(key, queued.token), { state: 'held', fence: wake.fence })
    },
  },
  {
    name: 'waiters are served in order of arrival, one wake each',
    async run({ a, b, c, key }) {
      let holder = await a.hold(key)
      const waiters = [await b.queue(key), await c.queue(key), await b.queue(key)]
      let by = a
      for (const [n, waiter] of waiters.entries()) {
        await by.release(key, holder.token)
        by = n === 1 ? c : b
        const wake = await by.wake(waiter.token)
        ok(wake.kind === 'turn')
        for (const later of waiters.slice(n + 1)) equal(b.wakesFor(later.token) + c.wakesFor(later.token), 0)
        holder = { token: waiter.token, fence: wake.fence }
      }
      equal(await by.release(key, holder.token), true)
      equal((await a.claim(key, a.token())).state, 'held')
    },
  },
  {
    name: 'a waiter that asks again keeps its place, also under another token',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const first = await b.queue(key)
      const second = await c.queue(key)
      const again = await b.claim(key, first.token)
      ok(again.state === 'busy')
      equal(again.arrival, first.arrival)
      await b.store.leave(key, first.token)
      const renamed = await b.queue(key, { arrival: first.arrival })
      equal(renamed.arrival, first.arrival)
      await a.release(key, token)
      equal((await b.wake(renamed.token)).kind, 'turn')
      equal(c.wakesFor(second.token), 0)
    },
  },
  {
    name: 'no newcomer gets the key before those that wait',
    async run({ a, b, c, key }) {
      await a.hold(key, { leaseMs: 150 })
      const queued = await b.queue(key)
      await pause(170)
      equal((await c.claim(key, c.token())).state, 'busy')
      equal((await b.wake(queued.token)).kind, 'turn')
    },
  },
  {
    name: 'the first waiter takes a key whose lease ran out, and waits no more',
    async run({ a, b, key }) {
      await a.hold(key, { leaseMs: 150 })
      const { token, arrival } = await b.queue(key, { payload: 'p' })
      await pause(170)
      // With its newest options.
      equal((await b.claim(key, token, { arrival, payload: 'q' })).state, 'held')
      equal((await a.store.inspect(key))?.waiters, 0)
      equal((await a.claim(key, a.token(), { payload: 'p' })).state, 'mismatch')
    },
  },
  {
    name: 'a waiter that left is passed over; one that left after being handed the key hands it on',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const gone = await b.queue(key)
      const late = await b.queue(key)
      const last = await c.queue(key)
      await b.store.leave(key, gone.token)
      await a.release(key, token)
      equal((await b.wake(late.token)).kind, 'turn')
      await b.store.leave(key, late.token)
      equal((await c.wake(last.token)).kind, 'turn')
      equal(b.wakesFor(gone.token), 0)
    },
  },
  {
    name: 'a waiter that left takes no other along, however alike their tokens are',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const gone = await b.queue(key)
      for (let n = 0; n < 8; n++) b.token()
      const tenth = await b.queue(key)
      equal(tenth.token, `${gone.token}0`)
      await b.store.leave(key, gone.token)
      await a.release(key, token)
      equal((await b.wake(tenth.token)).kind, 'turn')
    },
  },
  {
    name: 'a claim that only looks does not join the waiters',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const looker = b.token()
      equal((await b.claim(key, looker, { wait: false })).state, 'busy')
      equal((await a.store.inspect(key))?.waiters, 0)
      await a.release(key, token)
      equal((await a.claim(key, a.token())).state, 'held')
    },
  },
  {
    name: 'a process hands the key on to itself if nobody else waits',
    async run({ a, key }) {
      const { token, fence } = await a.hold(key)
      const next = nextClaim(a, key)
      const request = { key, token, passMs: 0, maxLocalTurns: 0, next }
      const reply = await a.store.release(request)
      ok(reply.mine && reply.next?.state === 'held' && reply.next.fence > fence)
      deepEqual(await a.store.release(request), reply)
      equal(await a.release(key, next.token), true)
    },
  },
  {
    name: 'a process hands the key on to itself a bounded number of times while others wait',
    async run({ a, b, key }) {
      let { token } = await a.hold(key)
      const queued = await b.queue(key)
      for (let turn = 0; turn < 2; turn++) {
        const next = nextClaim(a, key)
        const reply = await a.store.release({ key, token, passMs: 0, maxLocalTurns: 2, next })
        equal(reply.next?.state, 'held')
        token = next.token
      }
      const next = nextClaim(a, key)
      const reply = await a.store.release({ key, token, passMs: 0, maxLocalTurns: 2, next })
      equal(reply.next?.state, 'busy')
      equal((await b.wake(queued.token)).kind, 'turn')
      await b.release(key, queued.token)
      equal((await a.wake(next.token)).kind, 'turn')
    },
  },
  {
    name: 'a holder that lost the key cannot hand it on',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { leaseMs: 20 })
      await pause(40)
      await b.hold(key)
      const reply = await a.store.release({ key, token, passMs: 0, maxLocalTurns: 4, next: nextClaim(a, key) })
      deepEqual(reply, { mine: false })
    },
  },
  {
    name: 'a repeated release that hands the key on gets the same answer, even after others have ended theirs',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const next = nextClaim(a, key)
      const request = { key, token, passMs: 0, maxLocalTurns: 0, next }
      const reply = await a.store.release(request)
      ok(reply.next?.state === 'held')
      const queued = await b.queue(key)
      await a.release(key, next.token)
      equal((await b.wake(queued.token)).kind, 'turn')
      await b.release(key, queued.token)
      equal((await a.store.release({ key, token, passMs: 0, maxLocalTurns: 0 })).mine, true)
    },
  },
  {
    name: 'a claim that arrives after its own end, or after it left, takes nothing and does not wait',
    async run({ a, b, c, key }) {
      const released = await a.hold(key)
      await a.release(key, released.token)
      equal((await a.claim(key, released.token)).state, 'busy')
      equal((await b.store.inspect(key))?.leaseLeftMs ?? 0, 0)
      const holder = await b.hold(key)
      const left = await c.queue(key)
      await c.store.leave(key, left.token)
      equal((await c.claim(key, left.token)).state, 'busy')
      equal((await b.store.inspect(key))?.waiters, 0)
      await b.release(key, holder.token)
      equal((await b.store.inspect(key))?.leaseLeftMs ?? 0, 0)
    },
  },
  {
    name: 'a next claim is made with all that it asks for: its payload, and its place if others are due',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const next = { ...nextClaim(a, key), payload: 'p' }
      equal((await a.store.release({ key, token, passMs: 0, maxLocalTurns: 0, next })).next?.state, 'held')
      deepEqual(await b.claim(key, b.token(), { payload: 'q' }), { state: 'mismatch', inFlight: true })
      const { token: gone, arrival } = await b.queue(key)
      await c.queue(key)
      await b.store.leave(key, gone)
      const last = { ...nextClaim(a, key), arrival }
      equal(
        (await a.store.release({ key, token: next.token, passMs: 0, maxLocalTurns: 0, next: last })).next?.state,
        'held',
      )
      await a.settle(key, last.token, bytes('r'), 0)
      const late = { key, token: last.token, passMs: 0, maxLocalTurns: 0, next: nextClaim(a, key) }
      equal((await a.store.release(late)).mine, false)
    },
  },
  {
    name: 'a next claim that waits already waits no more once it holds',
    async run({ a, key }) {
      const { token } = await a.hold(key)
      const next = nextClaim(a, key)
      equal((await a.store.claim(next)).state, 'busy')
      equal((await a.store.release({ key, token, passMs: 0, maxLocalTurns: 1, next })).next?.state, 'held')
      equal((await a.store.inspect(key))?.waiters, 0)
    },
  },
  {
    name: 'turns that a process gives to itself while nobody else waits do not count',
    async run({ a, b, key }) {
      let { token } = await a.hold(key)
      const handOn = async (): Promise<void> => {
        const next = nextClaim(a, key)
        const reply = await a.store.release({ key, token, passMs: 0, maxLocalTurns: 1, next })
        equal(reply.next?.state, 'held')
        token = next.token
      }
      for (let turn = 0; turn < 3; turn++) await handOn()
      await b.queue(key)
      await handOn()
    },
  },
  {
    name: 'where the next claim takes no turn, the first waiter does',
    async run({ a, b, key }) {
      const left = nextClaim(a, key)
      await a.store.leave(key, left.token)
      for (const [next, passMs] of [
        [left, 0] as const,
        [{ ...nextClaim(a, key), takeRecord: true }, 60_000] as const,
      ]) {
        const { token } = await a.hold(key)
        const queued = await b.queue(key)
        await a.store.release({ key, token, passMs, maxLocalTurns: 4, next })
        equal((await b.wake(queued.token)).kind, 'turn')
        await b.release(key, queued.token)
      }
    },
  },
  {
    name: 'a next claim that was left takes nothing if the release arrives after all',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const next = nextClaim(a, key)
      await a.store.leave(key, next.token)
      const request = { key, token, passMs: 0, maxLocalTurns: 4, next }
      for (let time = 0; time < 2; time++) {
        const reply = await a.store.release(request)
        deepEqual([reply.mine, reply.next?.state], [true, 'busy'])
      }
      equal((await b.claim(key, b.token())).state, 'held')
    },
  },
  {
    name: 'a release that arrives again after its next claim has ended takes nothing and does not wait',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const next = nextClaim(a, key)
      const request = { key, token, passMs: 0, maxLocalTurns: 4, next }
      equal((await a.store.release(request)).next?.state, 'held')
      await a.release(key, next.token)
      equal((await a.store.release(request)).next?.state, 'busy')
      await b.hold(key)
      equal((await a.store.release(request)).next?.state, 'busy')
      equal((await a.store.inspect(key))?.waiters, 0)
    },
  },
  {
    name: 'a waiter that claims again with other options waits once, with the new options, at its old place',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const turn = await b.queue(key, { takeRecord: true })
      const taker = await c.queue(key, { takeRecord: false })
      const again = await b.queue(key, { takeRecord: true })
      await b.claim(key, turn.token, { takeRecord: false, arrival: turn.arrival })
      await c.claim(key, taker.token, { takeRecord: true, arrival: taker.arrival })
      equal((await a.store.inspect(key))?.waiters, 3)
      await a.settle(key, token, bytes('r'), 0)
      equal((await b.wake(turn.token)).kind, 'turn')
      equal((await c.wake(taker.token)).kind, 'record')
      equal((await b.wake(again.token)).kind, 'record')
      await b.release(key, turn.token)
      equal((await a.claim(key, a.token())).state, 'held')
    },
  },
  {
    name: 'forgetting tells the holder',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      equal(await b.store.forget(key), true)
      equal((await a.wake(token)).kind, 'lost')
    },
  },
  {
    name: 'forgetting tells the waiters to look again',
    async run({ a, b, key }) {
      await a.hold(key)
      const queued = await b.queue(key)
      await a.store.forget(key)
      equal((await b.wake(queued.token)).kind, 'look')
      equal((await b.claim(key, queued.token)).state, 'held')
      await a.queue(key)
      equal((await a.store.inspect(key))?.waiters, 1)
    },
  },
]
