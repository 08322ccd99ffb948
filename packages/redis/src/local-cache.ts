// Keeps records that this process has seen for a while, so that replays cost no command, but never longer than the store keeps them.

import type { RecordReply } from '@dspinlock/core'
import { integer, type OptionReader, optionError, parseOptions, timerMs } from '@dspinlock/core/support'
import { LRUCache } from 'lru-cache'

export interface LocalCacheOptions {
  /** How much memory cached records may take in this process, in bytes; beyond that, the least recently used are dropped. Must be given. */
  readonly maxBytes: number
  /**
   * For how long this process answers with a record before it asks the store again, in milliseconds. If a record is removed
   * without a message (eviction, FLUSHALL, a failover), this is noticed after this time at the latest. Must be given.
   */
  readonly maxAgeMs: number
}

const shape = { maxBytes: integer(undefined, 1), maxAgeMs: timerMs(undefined) } as const

export const readLocalCache: OptionReader<LocalCacheOptions | undefined> = (given, name) => {
  if (given === undefined) return undefined
  if (typeof given !== 'object' || given === null)
    throw optionError(name, given, 'an object with maxBytes and maxAgeMs')
  const { maxBytes, maxAgeMs } = parseOptions(name, given, shape)
  if (maxBytes === undefined)
    throw optionError(`${name}.maxBytes`, undefined, 'given: the most that it may take, in bytes')
  if (maxAgeMs === undefined)
    throw optionError(`${name}.maxAgeMs`, undefined, 'given: how old it may get, in milliseconds')
  return { maxBytes, maxAgeMs }
}

interface CachedRecord {
  readonly record: Uint8Array
  readonly payload: string
  /** In `performance.now()`, and not later than when the store got the record, so that its age is never given as less than it is. */
  readonly settledAt: number
  /** In `performance.now()`, and not later than when the record ends in the store. */
  readonly endsAt: number
}

/** Roughly what an entry takes beside its bytes. */
const ENTRY_BYTES = 250

export class LocalCache {
  readonly #records: LRUCache<string, CachedRecord>
  readonly #maxAgeMs: number
  /** Whether the cache is in use: only while no message to all processes can be missed. */
  #isOpen = false
  /** Grows whenever a record is dropped, because an answer that was under way then may contain that record. */
  #epoch = 0

  constructor({ maxBytes, maxAgeMs }: LocalCacheOptions) {
    this.#maxAgeMs = maxAgeMs
    this.#records = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: ({ record, payload }, name) =>
        record.byteLength + 2 * (payload.length + name.length) + ENTRY_BYTES,
    })
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Messages arrive from now on. */
  open(): void {
    this.clear()
    this.#isOpen = true
  }

  /** Messages may be lost from now on. */
  shut(): void {
    this.#isOpen = false
    this.clear()
  }

  clear(): void {
    this.#epoch++
    this.#records.clear()
  }

  drop(name: string): void {
    this.#epoch++
    this.remove(name)
  }

  /** For who was told that it is gone: answers that are still under way were asked for later, and cannot hold it. */
  remove(name: string): void {
    this.#records.delete(name)
  }

  /** The record with which the store would answer a first claim that takes records; undefined: ask the store. */
  find(name: string, payload: string): RecordReply | undefined {
    if (!this.#isOpen) return undefined
    const cached = this.#records.get(name)
    // If the payload is another one, the store has to decide.
    if (cached === undefined || cached.payload !== payload) return undefined
    const now = performance.now()
    if (cached.endsAt > now) {
      return { state: 'record', record: cached.record, ageMs: now - cached.settledAt, joined: false }
    }
    this.#records.delete(name)
    return undefined
  }

  /**
   * Keeps a record that the store had when it was asked at `askedAt` (`performance.now()`), in `epoch`; the record was then `ageMs` old
   * and had `ttlLeftMs` left.
   */
  keep(
    name: string,
    record: Uint8Array,
    facts: {
      readonly payload: string
      readonly ageMs: number
      readonly ttlLeftMs: number
      readonly askedAt: number
      readonly epoch: number
    },
  ): void {
    const { payload, ageMs, ttlLeftMs, askedAt, epoch } = facts
    if (!this.#isOpen || epoch !== this.#epoch || ttlLeftMs <= 0) return
    this.#records.set(name, {
      // A copy, because a record that comes from a socket is a part of a larger buffer, which it would keep alive.
      record: new Uint8Array(record),
      payload,
      settledAt: askedAt - ageMs,
      endsAt: askedAt + Math.min(ttlLeftMs, this.#maxAgeMs),
    })
  }
}
