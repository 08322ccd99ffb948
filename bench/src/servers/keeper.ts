// A process with a lock engine of its own that holds many records or many waiters, and measures what they take.

import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { type Entry, LockEngine, memoryStore, Policy, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { Redis } from 'ioredis'
import type { Sample } from '../../report/dist/model.js'
import { answerCalls, readArgument } from '../harness/remote.js'

export interface KeeperSpec {
  /** `map`: no store, but a Map with the same names and bytes. */
  readonly store: 'memory' | 'redis' | 'map'
  readonly redisUrl: string
}

const spec = readArgument<KeeperSpec>()
const RECORD_BYTES = 128
/** Longer than any run. */
const TTL_MS = 3_600_000
const replay = new Policy({ duplicates: 'replay', ttlMs: TTL_MS })
const serialise = new Policy({ waitMs: 120_000 })

const openStore = (): Store =>
  spec.store === 'redis' ? redisStore(new Redis(spec.redisUrl)) : memoryStore({ maxBytes: 4 * 1024 ** 3 })

let store = openStore()
let engine = makeEngine()

function makeEngine(): LockEngine {
  return new LockEngine({ store, maxWaiters: 1_000_000, maxWaitersPerKey: 1_000_000 })
}

const map = new Map<string, Uint8Array>()

/** Leaves a record that shares its memory with nothing else, as that of a response would. */
async function leaveRecord(key: string, bytes: number): Promise<void> {
  if (spec.store === 'map') return void map.set(key, new Uint8Array(bytes).fill(7))
  const entry = await engine.enter(key, replay)
  if (entry.role !== 'holder') throw new Error(`${key} was there already`)
  await entry.hold.settle(new Uint8Array(bytes).fill(7))
}

async function readRecord(key: string): Promise<void> {
  const role = spec.store === 'map' ? map.get(key) && 'follower' : (await engine.enter(key, replay)).role
  if (role !== 'follower') throw new Error(`a record was gone: ${role}`)
}

async function fill({ from, to, bytes = RECORD_BYTES }: { from: number; to: number; bytes?: number }): Promise<void> {
  let next = from
  const lane = async (): Promise<void> => {
    while (next < to) await leaveRecord(nameOf(next++), bytes)
  }
  await Promise.all(Array.from({ length: 64 }, lane))
}

/** A key as long as a fingerprint, and a flat string like a digest. */
const flat = (text: string): string => Buffer.from(text.padEnd(43, '-')).toString('latin1')
const nameOf = (number: number): string => flat(`fill-${String(number).padStart(8, '0')}`)
/** How many operations are made in one turn of the event loop, because requests come in turns, too. */
const OPERATIONS_OF_A_TURN = 64

let rounds = 0

export interface Worked extends Sample {
  readonly loopDelayP99Ms: number
}

/** New records and replays of existing ones, in turn: returns operations per second. The new records are gone afterwards. */
async function work({ operations, records }: { operations: number; records: number }): Promise<Worked> {
  const round = ++rounds
  const names = Array.from({ length: operations }, (_, number) => {
    if (number % 2 === 0) return flat(`new-${process.pid}-${round}-${number}`)
    // Spread over all records, different ones each time, by a step that has no divisor in common with their number.
    return nameOf(((round * operations + number) * 7_919) % records)
  })
  let done = 0
  const lane = async (): Promise<void> => {
    while (done < operations) {
      const number = done++
      if (number % OPERATIONS_OF_A_TURN === 0) await nextTurn()
      const name = names[number] ?? ''
      if (number % 2 === 0) {
        await leaveRecord(name, RECORD_BYTES)
        continue
      }
      await readRecord(name)
    }
  }
  // If the resolution were finer, the monitor's own timer would be part of what is measured.
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: 16 }, lane))
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await nextTurn()
  loop.disable()
  for (let number = 0; number < operations; number += 2 * OPERATIONS_OF_A_TURN) {
    const some = names.slice(number, number + 2 * OPERATIONS_OF_A_TURN).filter((_, at) => at % 2 === 0)
    await Promise.all(some.map(async name => (spec.store === 'map' ? map.delete(name) : store.forget(name))))
  }
  return {
    value: operations / seconds,
    cpuUs: (user + system) / operations,
    loopDelayP99Ms: loop.count === 0 ? 0 : loop.percentile(99) / 1e6,
  }
}

let held: Entry[] = []
let ended: Promise<unknown> = Promise.resolve()

/** Holds `keys` keys and has `waiters` wait for each; each waiter releases the key as soon as it had its turn. */
async function queue({ keys, waiters }: { keys: number; waiters: number }): Promise<void> {
  const round = ++rounds
  const nameAt = (at: number): string => `queue-${process.pid}-${round}-${at}`
  held = []
  for (let at = 0; at < keys; at++) held.push(await engine.enter(nameAt(at), serialise))
  const turns: Promise<unknown>[] = []
  for (let at = 0; at < keys; at++) {
    for (let waiter = 0; waiter < waiters; waiter++) turns.push(engine.enter(nameAt(at), serialise).then(letGo))
  }
  ended = Promise.all(turns)
}

/** Releases all keys, and returns how long one waiter's turn takes, in microseconds. */
async function drain({ waiters }: { waiters: number }): Promise<Sample> {
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  await Promise.all(held.map(letGo))
  await ended
  const us = (performance.now() - startedAt) * 1_000
  const { user, system } = process.cpuUsage(cpu)
  return { value: us / waiters, cpuUs: (user + system) / waiters }
}

/** One waiter on one key, many times in a row, measured as in `drain`. */
async function drainSingly({ times }: { times: number }): Promise<Sample> {
  let us = 0
  let cpuUs = 0
  for (let time = 0; time < times; time++) {
    await queue({ keys: 1, waiters: 1 })
    const { value, cpuUs: spent = 0 } = await drain({ waiters: 1 })
    us += value
    cpuUs += spent
  }
  return { value: us / times, cpuUs: cpuUs / times }
}

async function letGo(entry: Entry): Promise<void> {
  if (entry.role !== 'holder') throw new Error(`not the holder but ${entry.role}`)
  await entry.hold.release()
}

async function memory(): Promise<number> {
  // The memory of freed buffers is returned by another thread, some time after the collection.
  for (let time = 0; time < 3; time++) {
    globalThis.gc?.()
    await delay(30)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** What one record takes in the memory store, and what its key and bytes would take in a Map. */
async function weighRecords({
  count,
  bytes,
}: {
  count: number
  bytes: number
}): Promise<{ map: number; store: number }> {
  const before = await memory()
  for (let at = 0; at < count; at++) map.set(nameOf(at), new Uint8Array(bytes).fill(7))
  const between = await memory()
  // Read after the measurement, so that it stays alive until then.
  const inMap = (between - before) / map.size
  map.clear()
  await engine.close()
  await store.close()
  store = openStore()
  engine = makeEngine()
  const empty = await memory()
  await fill({ from: 0, to: count, bytes })
  return { map: inMap, store: ((await memory()) - empty) / count }
}

answerCalls({ fill, work, queue, drain, drainSingly, memory, weighRecords })
