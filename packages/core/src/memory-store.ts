// The store in memory: keeps claims and records in this process, and answers at once.

import { ClosedError } from './errors.js'
import { isLive } from './live-key.js'
import { describeKey, StoredKey, type StoredWaiter } from './memory-key.js'
import { MemoryRecords } from './memory-records.js'
import { integer, parseOptions, timerMs } from './options.js'
import { isMismatch } from './payload.js'
import { ShortLivedMap } from './short-lived-map.js'
import type {
  ClaimReply,
  ClaimRequest,
  KeyState,
  Mailbox,
  ReleaseReply,
  ReleaseRequest,
  RenewRequest,
  SettleRequest,
  Store,
  Wake,
} from './store.js'
import { warnOnce } from './warnings.js'

export interface MemoryStoreOptions {
  /** How much memory records and their keys may take, in bytes; beyond that, the oldest records are dropped. Default 104 857 600 (100 MiB). */
  readonly maxBytes?: number
  /** How long a waiter that was handed the key has to take it up, in milliseconds. Default 900. */
  readonly grantMs?: number
}

const shape = { maxBytes: integer(100 * 1024 * 1024, 0), grantMs: timerMs(900) } as const

/** At least how many ended tokens are remembered, so that an end that is repeated gets the same answer. */
const REMEMBERED_ENDS = 1024
const SWEEP_EVERY_MS = 1_000
/** One sweep drops about this share of the records, and a thousand more, so that a million records never stall the event loop. */
const SWEEP_SHARE = 1 / 20
const SWEEP_AT_LEAST = 1_000

type AddressedWake = Exclude<Wake, { kind: 'resync' }>

/**
 * A store inside this process. Its locks exclude nobody in other processes.
 * @throws TypeError for unknown or wrong options.
 */
export function memoryStore(options?: MemoryStoreOptions): Store {
  return new MemoryStore(options)
}

export class MemoryStore implements Store {
  readonly name = 'memory'
  readonly synchronous = true
  readonly #maxBytes: number
  readonly #grantMs: number
  /** Keys that somebody holds or waits for, or that are marked. */
  #entries = new ShortLivedMap<StoredKey>()
  #records: MemoryRecords
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  /** How the latest tokens ended, and those before them. A Map is dropped as a whole, because iterating one steps over each deleted entry. */
  #ended = new Map<string, 'settled' | 'released' | 'left'>()
  #endedBefore = this.#ended
  /** The last fence, arrival or settling given out; all three are on one scale, so that they can be compared. */
  #lastTick = 0
  #closed = false
  #sweepTimer: NodeJS.Timeout | undefined

  constructor(options?: MemoryStoreOptions) {
    const parsed = parseOptions('memoryStore', options, shape)
    this.#maxBytes = parsed.maxBytes
    this.#records = new MemoryRecords(parsed.maxBytes)
    this.#grantMs = parsed.grantMs
  }

  get closed(): boolean {
    return this.#closed
  }

  open(onWake: (wake: Wake) => void): Mailbox {
    this.#assertOpen()
    const id = `m${++mailboxes}`
    this.#mailboxes.set(id, onWake)
    return { id, close: () => void this.#mailboxes.delete(id) }
  }

  claim(request: ClaimRequest): ClaimReply {
    const { key, token } = request
    const entry = this.#find(key)
    const now = performance.now()
    if (entry?.token === token) {
      entry.extend(now + request.leaseMs)
      return { state: 'held', fence: entry.fence }
    }
    if (this.#howEnded(token) !== undefined) return nothingLeft
    if (request.takeRecord) {
      const shared = this.#share(entry, request, now)
      if (shared !== undefined) return shared
    }
    if (entry === undefined) {
      const taken = new StoredKey(key)
      this.#entries.set(key, taken)
      this.#sweepTimer ??= setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref()
      return this.#take(taken, request, now)
    }
    if (entry.isHeld(now)) return this.#queue(entry, request, now)
    if ((entry.waiters[0]?.token ?? token) !== token) {
      this.#hand(entry, now)
      return this.#queue(entry, request, now)
    }
    entry.waiters.shift()
    return this.#take(entry, request, now)
  }

  renew(request: RenewRequest): boolean {
    const entry = this.#find(request.key)
    if (entry?.token !== request.token) return false
    entry.extend(performance.now() + request.leaseMs)
    return true
  }

  settle(request: SettleRequest): boolean {
    const entry = this.#find(request.key)
    if (entry?.token !== request.token) return this.#howEnded(request.token) === 'settled'
    const now = performance.now()
    this.#remember(request.token, 'settled')
    const { record } = request
    const { key, payload, fence } = entry
    const waited = this.#dismiss(entry, waiter => {
      const { token } = waiter
      // A caller that has waited since before this hold may have another payload.
      return isMismatch(waiter.payload, payload) ? { kind: 'look', token } : { kind: 'record', token, record }
    })
    const retainMs = Math.max(request.ttlMs, waited ? request.retainMs : 0)
    const numbers = [fence, now, this.#tick(), now + request.ttlMs, now + retainMs] as const
    if (retainMs > 0 && !this.#records.keep(key, { bytes: record, payload, numbers })) {
      warnOnce(
        'DSPINLOCK_W_MEMORY_FULL',
        `the memory store holds more than maxBytes (${this.#maxBytes}) of records and drops the oldest; raise it, shorten ttlMs, or use Redis`,
      )
    }
    this.#hand(entry, now)
    return true
  }

  release(request: ReleaseRequest): ReleaseReply {
    const entry = this.#find(request.key)
    if (entry?.token !== request.token) {
      return this.#howEnded(request.token) === 'released' ? this.#goOn(request.next) : { mine: false }
    }
    const now = performance.now()
    this.#remember(request.token, 'released')
    if (request.passMs > 0) {
      entry.passUntil = now + request.passMs
      this.#dismiss(entry, ({ token }) => ({ kind: 'pass', token }))
    } else if (request.next !== undefined) {
      const { next } = request
      const mayHold = this.#howEnded(next.token) === undefined
      const othersWait = entry.waiters.length > 0
      if (mayHold && (!othersWait || entry.localTurns < request.maxLocalTurns)) {
        entry.removeWaiter(next.token)
        const localTurns = othersWait ? entry.localTurns + 1 : 0
        return { mine: true, next: this.#take(entry, next, now, localTurns) }
      }
      if (mayHold) this.#queue(entry, next, now)
    }
    this.#hand(entry, now)
    return this.#goOn(request.next)
  }

  leave(key: string, token: string): void {
    const entry = this.#find(key)
    this.#remember(token, 'left')
    if (entry === undefined) return
    entry.removeWaiter(token)
    if (entry.token === token) this.#hand(entry, performance.now())
  }

  forget(key: string, fence?: number): boolean {
    const entry = this.#find(key)
    const state = this.inspect(key)
    if (state === undefined || (fence !== undefined && state.fence !== fence)) return false
    this.#records.drop(key)
    if (entry !== undefined) {
      this.#entries.delete(key)
      if (entry.token !== '') this.#wake({ kind: 'lost', token: entry.token })
      for (const waiter of entry.waiters) this.#wake({ kind: 'look', token: waiter.token })
    }
    return state.state !== 'free'
  }

  inspect(key: string): KeyState | undefined {
    const entry = this.#find(key)
    const record = this.#records.find(key)
    if (entry === undefined && record === undefined) return undefined
    return describeKey(key, entry, record, performance.now())
  }

  async *list(): AsyncIterableIterator<KeyState> {
    this.#assertOpen()
    for (const key of new Set([...this.#entries.values().map(entry => entry.key), ...this.#records.places.keys()])) {
      const state = this.inspect(key)
      if (isLive(state)) yield state
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#sweepTimer)
    this.#entries = new ShortLivedMap()
    this.#mailboxes.clear()
    this.#records = new MemoryRecords(0)
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('store')
  }

  #find(key: string): StoredKey | undefined {
    this.#assertOpen()
    return this.#entries.get(key)
  }

  /** Microseconds, as on a Redis server, but never the same twice. */
  #tick(): number {
    this.#lastTick = Math.max(Date.now() * 1000, this.#lastTick + 1)
    return this.#lastTick
  }

  #take(
    entry: StoredKey,
    request: Pick<ClaimRequest, 'token' | 'leaseMs' | 'payload'>,
    now: number,
    localTurns = 0,
  ): ClaimReply {
    entry.token = request.token
    entry.fence = this.#tick()
    entry.heldSince = now
    entry.leaseEndsAt = now + request.leaseMs
    entry.payload = request.payload
    entry.localTurns = localTurns
    entry.passUntil = 0
    this.#records.supersede(entry.key, entry.fence, now)
    return { state: 'held', fence: entry.fence }
  }

  /** What a claim that takes records gets instead of a turn; undefined if there is nothing. */
  #share(entry: StoredKey | undefined, request: ClaimRequest, now: number): ClaimReply | undefined {
    const kept = this.#records.find(request.key)
    const [, settledAt, settledTick, visibleUntil, retainedUntil] = kept?.numbers ?? [0, 0, 0, 0, 0]
    const joined = request.arrival > 0 && request.arrival <= settledTick
    let shared: ClaimReply | undefined
    if (kept !== undefined && (visibleUntil > now || (joined && retainedUntil > now))) {
      shared = isMismatch(request.payload, kept.payload)
        ? { state: 'mismatch', inFlight: false }
        : { state: 'record', record: kept.bytes, ageMs: now - settledAt, joined }
    } else if (entry !== undefined && entry.passUntil > now) {
      shared = { state: 'pass' }
    }
    if (shared !== undefined) entry?.removeWaiter(request.token)
    return shared
  }

  #queue(entry: StoredKey, request: ClaimRequest, now: number): ClaimReply {
    if (isMismatch(request.payload, entry.payload)) {
      entry.removeWaiter(request.token)
      return { state: 'mismatch', inFlight: true }
    }
    let arrival = request.arrival
    if (request.wait) {
      const { token, takeRecord, payload } = request
      const known = entry.waiters.find(waiter => waiter.token === token)
      entry.removeWaiter(token)
      arrival = known?.arrival ?? (arrival === 0 ? this.#tick() : arrival)
      entry.addWaiter({ token, takeRecord, payload, arrival })
    }
    return { state: 'busy', leaseLeftMs: entry.leaseEndsAt - now, arrival, clockAheadMs: 0 }
  }

  /** After a release: makes the claim that came with it. */
  #goOn(next: ClaimRequest | undefined): ReleaseReply {
    return next === undefined ? { mine: true } : { mine: true, next: this.claim(next) }
  }

  /** Gives the key to the first waiter, or frees it. */
  #hand(entry: StoredKey, now: number): void {
    const first = entry.waiters.shift()
    if (first === undefined) {
      entry.token = ''
      return this.#dropIfIdle(entry, now)
    }
    this.#take(entry, { ...first, leaseMs: this.#grantMs }, now)
    this.#wake({ kind: 'turn', token: first.token, fence: entry.fence, leaseEndsAt: entry.leaseEndsAt })
  }

  #remember(token: string, how: 'settled' | 'released' | 'left'): void {
    if (this.#ended.size >= REMEMBERED_ENDS) {
      this.#endedBefore = this.#ended
      this.#ended = new Map()
    }
    this.#ended.set(token, how)
  }

  #howEnded(token: string): 'settled' | 'released' | 'left' | undefined {
    return this.#ended.get(token) ?? this.#endedBefore.get(token)
  }

  /** Wakes and removes the waiters that take records; true if there were any. */
  #dismiss(entry: StoredKey, message: (waiter: StoredWaiter) => AddressedWake): boolean {
    const takers = entry.waiters.filter(waiter => waiter.takeRecord)
    for (const waiter of takers) {
      entry.removeWaiter(waiter.token)
      this.#wake(message(waiter))
    }
    return takers.length > 0
  }

  /** In a microtask, so that no caller is called back from within its own call. */
  #wake(wake: AddressedWake): void {
    queueMicrotask(() => this.#mailboxes.get(wake.token.split('.')[0] ?? '')?.(wake))
  }

  #dropIfIdle(entry: StoredKey, now: number): void {
    if (entry.isIdle(now)) this.#entries.delete(entry.key)
  }

  /** Drops what has run out. A hold that ran out stays for a minute, so that it can still be settled late. */
  #sweep(): void {
    const now = performance.now()
    this.#records.sweep(now, SWEEP_AT_LEAST + this.#records.places.size * SWEEP_SHARE)
    for (const entry of this.#entries.values()) {
      if (entry.token !== '' && entry.leaseEndsAt + 60_000 < now) this.#hand(entry, now)
      else this.#dropIfIdle(entry, now)
    }
    if (this.#entries.size + this.#records.places.size > 0) return
    clearInterval(this.#sweepTimer)
    this.#sweepTimer = undefined
  }
}

let mailboxes = 0

/** The answer to a claim that arrives after its token has ended, for which nobody waits any more. */
const nothingLeft: ClaimReply = { state: 'busy', leaseLeftMs: 0, arrival: 0, clockAheadMs: 0 }
