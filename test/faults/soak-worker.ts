// The process of the soak test: uses a store and an engine hard, then leaves them alone; reports its heap before and after.

import { setTimeout as delay } from 'node:timers/promises'
import { LockEngine, memoryStore, WaiterLimitError } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'

export interface SoakReport {
  readonly heapBefore: number
  readonly heapAfter: number
  readonly keysAfter: number
  readonly waitersAtMost: number
  readonly refused: number
  readonly served: number
}

const KEYS = 100_000
const WAITERS = 10_000
const CROWDED_KEYS = 10
const AT_ONCE = 500
const [url] = process.argv.slice(2)

const store = url === undefined ? memoryStore() : redisStore(url, { commandTimeoutMs: 20_000 })
const engine = new LockEngine({ store, maxWaiters: WAITERS, maxWaitersPerKey: WAITERS / CROWDED_KEYS })
const replay = { duplicates: 'replay', ttlMs: 500 } as const

/** Uses each key once; one in fifty leaves a record for a while. */
async function useKeys(count: number, name: string): Promise<void> {
  let next = 0
  const take = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) {
      await engine.run(`${name} ${n}`, () => n, n % 50 === 0 ? replay : undefined)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, take))
}

/** As many waiters as are allowed, and one more for each key. */
async function crowd(): Promise<Pick<SoakReport, 'waitersAtMost' | 'refused' | 'served'>> {
  let open = (): void => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  let served = 0
  const options = { leaseMs: 60_000, waitMs: 60_000 }
  const holders = Array.from({ length: CROWDED_KEYS }, (_, n) => engine.run(`crowded ${n}`, () => opened, options))
  while (engine.waiters > 0 || engine.keys < CROWDED_KEYS) await delay(1)
  await delay(20)
  const waiters = Array.from({ length: WAITERS }, (_, n) =>
    engine.run(`crowded ${n % CROWDED_KEYS}`, () => void served++, options),
  )
  const waitersAtMost = engine.waiters
  const extra = await Promise.allSettled(
    Array.from({ length: CROWDED_KEYS }, (_, n) => engine.run(`crowded ${n}`, () => {}, options)),
  )
  const refused = extra.filter(one => one.status === 'rejected' && one.reason instanceof WaiterLimitError).length
  open()
  await Promise.all([...holders, ...waiters])
  return { waitersAtMost, refused, served }
}

/** Resolves when nothing is under way and records have ended. */
async function heap(): Promise<number> {
  const gc = globalThis.gc as () => void
  // The memory store drops ended records once a second, and the sockets' buffers are freed in a later turn of the event loop.
  await delay(2_500)
  gc()
  await delay(50)
  gc()
  return process.memoryUsage().heapUsed
}

// By then, code is compiled and pools are filled.
await useKeys(5_000, 'warm')
await crowd()
const heapBefore = await heap()
await useKeys(KEYS, 'key')
const crowded = await crowd()
const heapAfter = await heap()
const report: SoakReport = { heapBefore, heapAfter, keysAfter: engine.keys, ...crowded }
process.send?.(report)
await engine.close()
await store.close()
