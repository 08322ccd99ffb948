// The contract: what a store with `recall` knows without asking. A store that has no `recall`, or knows nothing, passes all cases.

import { deepEqual, equal, ok } from 'node:assert/strict'
import { bytes, type ContractCase, pause } from './bench.js'

const takeRecord = { takeRecord: true } as const

export const recallCases: readonly ContractCase[] = [
  {
    name: 'recall: gives the record that a claim is answered with, and its age',
    async run({ a, b, key }) {
      const { token } = await a.hold(key, { payload: 'p' })
      await a.settle(key, token, bytes('r'), 60_000)
      const settledAt = performance.now()
      equal((await b.claim(key, b.token(), { payload: 'p', ...takeRecord })).state, 'record')
      await pause(20)
      const leastMs = performance.now() - settledAt
      const known = b.recall(key, 'p')
      if (known === undefined) return
      const { record, ageMs, ...rest } = known
      deepEqual(rest, { state: 'record', joined: false })
      deepEqual(Uint8Array.from(record), bytes('r'))
      // The store's clock and this process's do not tick together.
      ok(ageMs > leastMs - 5, `told to be ${ageMs} ms old, and is ${leastMs}`)
    },
  },
  {
    name: 'recall: gives nothing if a claim would get no record, and is not itself a claim',
    async run({ a, b, key }) {
      equal(b.recall(key), undefined)
      equal(await b.store.inspect(key), undefined)
      const { token } = await a.hold(key, { payload: 'p' })
      equal(b.recall(key, 'p'), undefined)
      equal((await b.store.inspect(key))?.waiters, 0)
      await a.settle(key, token, bytes('r'), 60_000)
      for (const claimant of [a, b]) await claimant.claim(key, claimant.token(), { payload: 'p', ...takeRecord })
      for (const claimant of [a, b]) equal(claimant.recall(key, 'q'), undefined)
    },
  },
  {
    name: 'recall: gives no record that is only for those that waited, and no pass mark',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      const waiter = await b.queue(key, takeRecord)
      await a.settle(key, token, bytes('r'), 0, 5_000)
      equal((await b.claim(key, waiter.token, { ...takeRecord, arrival: waiter.arrival })).state, 'record')
      equal(b.recall(key), undefined)
      const next = await c.hold(key)
      await c.release(key, next.token, 5_000)
      equal((await b.claim(key, b.token(), takeRecord)).state, 'pass')
      equal(b.recall(key), undefined)
    },
  },
  {
    name: 'recall: gives a record for no longer than it lives',
    async run({ a, b, key }) {
      const { token } = await a.hold(key)
      await a.settle(key, token, bytes('r'), 60)
      await b.claim(key, b.token(), takeRecord)
      await pause(80)
      equal(b.recall(key), undefined)
    },
  },
  {
    name: 'recall: gives no record that the same store forgot, and nothing once the store is closed',
    async run({ a, b, c, key }) {
      const { token } = await a.hold(key)
      await a.settle(key, token, bytes('r'), 60_000)
      for (const claimant of [b, c]) await claimant.claim(key, claimant.token(), takeRecord)
      await c.store.close()
      equal(c.recall(key), undefined)
      equal(await b.store.forget(key), true)
      equal(b.recall(key), undefined)
    },
  },
]
