// The contract: taking, renewing, ending and losing a key.

import { deepEqual, equal, notEqual, ok, rejects } from 'node:assert/strict'
import { ClosedError } from '../errors.js'
import { bytes, type ContractCase, pause } from './bench.js'

export const holdCases: readonly ContractCase[] = [
  {
    name: 'a free key is held, a held one is busy for others',
    async run({ a, b, key }) {
      await a.hold(key)
      const reply = await b.claim(key, b.token(), { wait: false })
      ok(reply.state === 'busy' && reply.leaseLeftMs > 0 && reply.leaseLeftMs <= 10_000)
    },
  },
  {
    name: 'of fifty claims at once, one holds',
    async run({ a, b, c, key }) {
      const replies = await Promise.all(
        Array.from({ length: 50 }, (_, n) => {
          const claimant = [a, b, c][n % 3] ?? a
          return claimant.claim(key, claimant.token(), { wait: n % 2 === 0 })
        }),
      )
      equal(replies.filter(reply => reply.state === 'held').length, 1)
    },
  },
  {
    name: 'a claim that the holder repeats gets the same answer',
    async run({ a, key }) {
      const { token, fence } = await a.hold(key)
      deepEqual(await a.claim(key, token), { state: 'held', fence })
    },
  },
  {
    name: 'different keys share nothing, however odd they are',
    async run({ a, b, key }) {
      const odd = [
        '',
        '{',
        '}',
        '{}',
        '%',
        '%007b',
        'a b',
        'a\nb',
        '*',
        '#',
        '=',
        ':w',
        'é',
        'e\u0301',
        '\ud800',
        '\ufffd',
        '😀',
        '__proto__',
      ]
      const keys = [...odd.map(text => key + text), ...['x', 'y'].map(end => key + 'k'.repeat(100_000) + end)]
      for (const one of keys) await a.hold(one)
      for (const one of keys) equal((await b.claim(one, b.token(), { wait: false })).state, 'busy')
      equal((await b.claim(`${key}other`, b.token(), { wait: false })).state, 'held')
    },
  },
  {
    name: 'fences grow across release, expiry, forgetting and stores',
    async run({ a, b, c, key }) {
      const first = await a.hold(key)
      await a.release(key, first.token)
      const second = await b.hold(key, { leaseMs: 20 })
      await pause(40)
      const third = await c.hold(key)
      await c.store.forget(key)
      const fourth = await a.hold(key)
      const fences = [first.fence, second.fence, third.fence, fourth.fence]
      deepEqual(
        fences,
        [...new Set(fences)].sort((x, y) => x - y),
      )
    },
  },
  {
    name: 'a lease that ran out frees the key, and its token can do nothing any more',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { leaseMs: 20 })
      await pause(40)
      const next = await b.hold(key)
      equal(await a.store.renew({ key, token, leaseMs: 1_000 }), false)
      equal(await a.settle(key, token, bytes('stale'), 1_000), false)
      equal(await a.release(key, token), false)
      equal(await b.store.renew({ key, token: next.token, leaseMs: 1_000 }), true)
    },
  },
  {
    name: 'a renewed lease lasts',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { leaseMs: 60 })
      await pause(30)
      equal(await a.store.renew({ key, token, leaseMs: 5_000 }), true)
      await pause(50)
      equal((await b.claim(key, b.token(), { wait: false })).state, 'busy')
    },
  },
  {
    name: 'a claim that the holder repeats renews the lease',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { leaseMs: 5_000 })
      await a.claim(key, token, { leaseMs: 60_000 })
      const state = await b.store.inspect(key)
      ok(state !== undefined && state.leaseLeftMs > 50_000, `${state?.leaseLeftMs} ms are left`)
    },
  },
  {
    name: 'a lease is never shortened, neither by renewing nor by claiming again',
    async run({ a, b, key }) {
      const { token, fence } = await a.hold(key)
      equal(await a.store.renew({ key, token, leaseMs: 10 }), true)
      deepEqual(await a.claim(key, token, { leaseMs: 10 }), { state: 'held', fence })
      await pause(30)
      equal((await b.claim(key, b.token(), { wait: false })).state, 'busy')
    },
  },
  {
    name: 'a hand-over that lasts longer than the lease of the waiter that is handed the key is not shortened by its renewal',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const queued = await b.queue(key, { leaseMs: 10 })
      await a.release(key, token)
      const wake = await b.wake(queued.token)
      ok(wake.kind === 'turn')
      equal(await b.store.renew({ key, token: queued.token, leaseMs: 10 }), true)
      const state = await c.store.inspect(key)
      const grantedMs = wake.leaseEndsAt - (performance.now() + queued.clockAheadMs)
      ok(state !== undefined && state.leaseLeftMs >= grantedMs - 2, `${state?.leaseLeftMs} of ${grantedMs} ms are left`)
    },
  },
  {
    name: 'a hold that ran out, but that nobody claimed, can still be settled',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { leaseMs: 20 })
      await pause(40)
      equal(await a.settle(key, token, bytes('late'), 1_000), true)
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'record')
    },
  },
  {
    name: 'an end that is repeated gets the same answer',
    async run({ a, b, key }) {
      const first = await a.hold(key)
      equal(await a.release(key, first.token), true)
      equal(await a.release(key, first.token), true)
      const second = await b.hold(key)
      equal(await a.release(key, first.token), true)
      equal(await b.settle(key, second.token, bytes('x'), 1_000), true)
      equal(await b.settle(key, second.token, bytes('y'), 1_000), true)
      const reply = await a.claim(key, a.token(), { takeRecord: true })
      ok(reply.state === 'record')
      deepEqual(Uint8Array.from(reply.record), bytes('x'))
    },
  },
  {
    name: 'an end that is repeated gets the same answer, even after others have ended theirs',
    async run({ a, b, c, key }) {
      const settled = await a.hold(key)
      equal(await a.settle(key, settled.token, bytes('x'), 0), true)
      const released = await b.hold(key)
      equal(await b.release(key, released.token), true)
      const last = await c.hold(key)
      equal(await c.release(key, last.token), true)
      equal(await a.settle(key, settled.token, bytes('x'), 0), true)
      equal(await b.release(key, released.token), true)
      equal(await a.release(key, settled.token), false)
      equal(await b.settle(key, released.token, bytes('y'), 0), false)
    },
  },
  {
    name: 'a token that never held the key can end nothing',
    async run({ a, b, key }) {
      await a.hold(key)
      const stranger = b.token()
      equal(await b.release(key, stranger), false)
      equal(await b.settle(key, stranger, bytes('x'), 1_000), false)
      equal(await b.store.renew({ key, token: stranger, leaseMs: 1_000 }), false)
      await b.store.leave(key, stranger)
      equal((await b.claim(key, b.token(), { wait: false })).state, 'busy')
    },
  },
  {
    name: 'forgetting ends a hold; the state of a key can be inspected and listed',
    async run({ a, b, key }) {
      const { token, fence } = await a.hold(key)
      const state = await b.store.inspect(key)
      ok(state !== undefined && state.leaseLeftMs > 0)
      deepEqual([state.state, state.fence, state.waiters], ['held', fence, 0])
      const listed: string[] = []
      for await (const one of b.store.list()) listed.push(one.key)
      ok(listed.includes(key))
      equal(await b.store.forget(key), true)
      equal(await b.store.forget(key), false)
      equal(await a.store.renew({ key, token, leaseMs: 1_000 }), false)
      notEqual((await b.store.inspect(key))?.state, 'held')
    },
  },
  {
    name: 'forgetting a fence drops that hold or record, and none that came after it',
    async run({ a, b, key }) {
      const first = await a.hold(key)
      await a.release(key, first.token)
      const second = await b.hold(key)
      for (const fence of [first.fence, 0]) equal(await a.store.forget(key, fence), false)
      equal(await b.store.renew({ key, token: second.token, leaseMs: 10_000 }), true)
      const waiting = await a.queue(key)
      equal(await a.store.forget(key, second.fence), true)
      equal((await a.wake(waiting.token)).kind, 'look')
      equal(await b.store.renew({ key, token: second.token, leaseMs: 10_000 }), false)
      const third = await b.hold(key)
      await b.settle(key, third.token, bytes('r'), 60_000)
      equal(await a.store.forget(key, second.fence), false)
      equal(await a.store.forget(key, third.fence), true)
      notEqual((await a.store.inspect(key))?.state, 'settled')
    },
  },
  {
    name: 'where all has run out, there is nothing to forget',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await b.queue(key, { takeRecord: true })
      await a.settle(key, token, bytes('r'), 0)
      equal(await b.store.forget(key), false)
      await a.hold(key, { leaseMs: 10 })
      await pause(20)
      equal(await b.store.forget(key), false)
    },
  },
  {
    name: 'how long a hold lasts is counted from its own beginning, however often it is renewed',
    async run({ a, b, key }) {
      const first = await a.hold(key)
      await pause(40)
      await a.store.renew({ key, token: first.token, leaseMs: 10_000 })
      const heldMs = (await b.store.inspect(key))?.heldMs ?? 0
      ok(heldMs >= 39 && heldMs < 5_000, `held for ${heldMs} ms`)
      await a.release(key, first.token)
      await b.hold(key)
      ok(((await b.store.inspect(key))?.heldMs ?? heldMs) < heldMs)
    },
  },
  {
    name: 'a record can be inspected',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await a.settle(key, token, bytes('four'), 60_000)
      const state = await b.store.inspect(key)
      ok(state !== undefined && state.ttlLeftMs > 50_000 && state.ttlLeftMs <= 60_000 && state.ageMs < 5_000)
      deepEqual([state.state, state.recordBytes, state.leaseLeftMs], ['settled', 4, 0])
    },
  },
  {
    name: 'a closed store refuses; closing twice does nothing',
    async run({ c, key }) {
      await c.store.close()
      await c.store.close()
      equal(c.store.closed, true)
      await rejects(async () => c.claim(key, c.token()), ClosedError)
    },
  },
]
