// The contract: what a finished holder leaves, who gets it, and for how long.

import { deepEqual, equal, ok } from 'node:assert/strict'
import { bytes, Claimant, type ContractCase, pause } from './bench.js'

const everyByte = Uint8Array.from({ length: 256 }, (_, n) => n)

export const recordCases: readonly ContractCase[] = [
  {
    name: 'a record answers newcomers until its time is over',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      equal(await a.settle(key, token, everyByte, 60), true)
      const reply = await b.claim(key, b.token(), { takeRecord: true })
      ok(reply.state === 'record' && reply.ageMs >= 0 && reply.ageMs < 60)
      equal(reply.joined, false)
      deepEqual(Uint8Array.from(reply.record), everyByte)
      await pause(80)
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'a record may be kept for the longest time that a number can express',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      equal(await a.settle(key, token, everyByte, Number.MAX_SAFE_INTEGER), true)
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'record')
      equal((await b.store.inspect(key))?.state, 'settled')
    },
  },
  {
    name: 'an empty record is a record',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await a.settle(key, token, new Uint8Array(0), 1_000)
      const reply = await b.claim(key, b.token(), { takeRecord: true })
      ok(reply.state === 'record')
      equal(reply.record.byteLength, 0)
    },
  },
  {
    name: 'every waiter is woken with the record, and is no waiter any more',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const waiters = [await b.queue(key, { takeRecord: true }), await c.queue(key, { takeRecord: true })]
      await a.settle(key, token, everyByte, 0)
      for (const [n, waiter] of waiters.entries()) {
        const wake = await (n === 0 ? b : c).wake(waiter.token)
        ok(wake.kind === 'record')
        deepEqual(Uint8Array.from(wake.record), everyByte)
      }
      equal((await a.claim(key, a.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'a waiter from before the hold that has another payload is told to look, and then of the mismatch',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const next = await b.queue(key, { takeRecord: true, payload: 'x' })
      const waiters = [await c.queue(key, { takeRecord: true, payload: 'y' }), await a.queue(key, { takeRecord: true })]
      await a.release(key, token)
      equal((await b.wake(next.token)).kind, 'turn')
      equal(await b.settle(key, next.token, everyByte, 0), true)
      equal((await a.wake(waiters[1]?.token ?? '')).kind, 'record')
      equal((await c.wake(waiters[0]?.token ?? '')).kind, 'look')
      const { token: other = '', arrival = 0 } = waiters[0] ?? {}
      equal((await c.claim(key, other, { takeRecord: true, payload: 'y', arrival })).state, 'mismatch')
    },
  },
  {
    name: 'without a ttl, newcomers run, and those that waited can still fetch the record',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const lost = await b.queue(key, { takeRecord: true })
      await a.settle(key, token, bytes('r'), 0, 5_000)
      const newcomer = await c.claim(key, c.token(), { takeRecord: true })
      equal(newcomer.state, 'held')
      const reply = await b.claim(key, lost.token, { takeRecord: true, arrival: lost.arrival })
      ok(reply.state === 'record' && reply.joined)
      equal((await c.store.inspect(key))?.waiters, 0)
    },
  },
  {
    name: 'a waiter for a turn that asks for the record after all is given it, and waits no more',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const turn = await b.queue(key)
      const changed = await b.queue(key)
      const taker = await c.queue(key, { takeRecord: true })
      await a.settle(key, token, bytes('r'), 0)
      equal((await b.wake(turn.token)).kind, 'turn')
      equal((await c.wake(taker.token)).kind, 'record')
      const reply = await b.claim(key, changed.token, { takeRecord: true, arrival: changed.arrival })
      ok(reply.state === 'record' && reply.joined)
      equal((await a.store.inspect(key))?.waiters, 0)
    },
  },
  {
    name: 'a waiter that waited longer than the hold lasted can fetch its record as well',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const second = await b.queue(key, { takeRecord: true })
      const lost = await c.queue(key, { takeRecord: true })
      await a.release(key, token)
      equal((await b.wake(second.token)).kind, 'turn')
      await b.settle(key, second.token, bytes('r'), 0, 5_000)
      const reply = await c.claim(key, lost.token, { takeRecord: true, arrival: lost.arrival })
      ok(reply.state === 'record' && reply.joined)
    },
  },
  {
    name: 'a waiter is told that it joined, even after a newcomer of the same store was given the record',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const lost = await b.queue(key, { takeRecord: true })
      await a.settle(key, token, bytes('r'), 60_000)
      const newcomer = new Claimant(b.store)
      const given = await newcomer.claim(key, newcomer.token(), { takeRecord: true })
      ok(given.state === 'record' && !given.joined)
      const reply = await b.claim(key, lost.token, { takeRecord: true, arrival: lost.arrival })
      ok(reply.state === 'record' && reply.joined)
    },
  },
  {
    name: 'a record that is kept for those that waited ends, too',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const lost = await b.queue(key, { takeRecord: true })
      await a.settle(key, token, bytes('r'), 0, 30)
      await pause(60)
      equal((await b.claim(key, lost.token, { takeRecord: true, arrival: lost.arrival })).state, 'held')
    },
  },
  {
    name: 'a large record arrives whole, by message or by fetching',
    async run({ a, b, key }) {
      const large = new Uint8Array(2 * 1024 * 1024).map((_, n) => (n * 31) % 256)
      const { token } = await a.hold(key)
      const waiter = await b.queue(key, { takeRecord: true })
      await a.settle(key, token, large, 0)
      const wake = await b.wake(waiter.token)
      if (wake.kind === 'record') return deepEqual(Uint8Array.from(wake.record), large)
      equal(wake.kind, 'look')
      const reply = await b.claim(key, waiter.token, { takeRecord: true, arrival: waiter.arrival })
      ok(reply.state === 'record')
      deepEqual(Uint8Array.from(reply.record), large)
    },
  },
  {
    name: 'a waiter that wants a turn is handed the key after a settle, and that ends the record',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const turn = await b.queue(key, { takeRecord: false })
      const taker = await c.queue(key, { takeRecord: true })
      await a.settle(key, token, bytes('r'), 60_000)
      equal((await b.wake(turn.token)).kind, 'turn')
      equal((await c.wake(taker.token)).kind, 'record')
      equal((await c.claim(key, c.token(), { takeRecord: true, wait: false })).state, 'busy')
      await b.release(key, turn.token)
      equal((await c.claim(key, c.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'a claim that wants a turn takes a settled key, and that ends the record',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await a.settle(key, token, bytes('r'), 60_000)
      const next = await b.hold(key, { takeRecord: false })
      await b.release(key, next.token)
      equal((await a.claim(key, a.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'another payload mismatches, in flight and settled, and does not wait',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { payload: 'p', takeRecord: true })
      deepEqual(await b.claim(key, b.token(), { payload: 'q', takeRecord: true }), {
        state: 'mismatch',
        inFlight: true,
      })
      equal((await a.store.inspect(key))?.waiters, 0)
      for (const payload of ['p', '']) {
        equal((await b.claim(key, b.token(), { payload, takeRecord: true, wait: false })).state, 'busy')
      }
      await a.settle(key, token, bytes('r'), 60_000)
      deepEqual(await b.claim(key, b.token(), { payload: 'q', takeRecord: true }), {
        state: 'mismatch',
        inFlight: false,
      })
      equal((await b.claim(key, b.token(), { payload: 'p', takeRecord: true })).state, 'record')
      equal((await b.claim(key, b.token(), { payload: '', takeRecord: true })).state, 'record')
    },
  },
  {
    name: 'what has no payload mismatches nothing, in flight and settled',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const waiting = await b.queue(key, { payload: 'p', takeRecord: true })
      await a.settle(key, token, bytes('r'), 60_000)
      equal((await b.wake(waiting.token)).kind, 'record')
      equal((await b.claim(key, b.token(), { payload: 'p', takeRecord: true })).state, 'record')
    },
  },
  {
    name: 'a waiter that asks again while another payload is in flight mismatches, and waits no more',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const first = await b.queue(key, { payload: 'p' })
      const { token: second, arrival } = await c.queue(key, { payload: 'q' })
      await a.release(key, token)
      equal((await b.wake(first.token)).kind, 'turn')
      deepEqual(await c.claim(key, second, { payload: 'q', arrival }), { state: 'mismatch', inFlight: true })
      equal((await a.store.inspect(key))?.waiters, 0)
    },
  },
  {
    name: 'a pass mark wakes all waiters that would take a record, and ends',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const waiters = [await b.queue(key, { takeRecord: true }), await c.queue(key, { takeRecord: true })]
      equal(await a.release(key, token, 60), true)
      equal((await b.wake(waiters[0]?.token ?? '')).kind, 'pass')
      equal((await c.wake(waiters[1]?.token ?? '')).kind, 'pass')
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'pass')
      await pause(80)
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'the next hold ends a pass mark',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await a.release(key, token, 60_000)
      const next = await a.hold(key)
      equal((await b.claim(key, b.token(), { takeRecord: true, wait: false })).state, 'busy')
      await a.release(key, next.token)
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'forgetting drops a pass mark',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await a.release(key, token, 60_000)
      equal(await b.store.forget(key), true)
      equal((await b.claim(key, b.token(), { takeRecord: true })).state, 'held')
    },
  },
  {
    name: 'a waiter that wants a turn gets it in spite of a pass mark',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      const turn = await b.queue(key, { takeRecord: false })
      await a.release(key, token, 5_000)
      equal((await b.wake(turn.token)).kind, 'turn')
    },
  },
]
