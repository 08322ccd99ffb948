// The embedded store: claims and records in this process, every answer at once.

import { ClosedError } from './errors.js'
import { StoredKey, type StoredRecord, type StoredWaiter } from './memory-key.js'
import { integer, parseOptions, timerMs } from './options.js'
import { differ } from './payload.js'
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
  /** How much records may take together, in bytes; beyond it the oldest are dropped. Default 104 857 600 (100 MiB). */
  readonly maxBytes?: number
  /** How long a waiter that was handed the key has to take it up, in milliseconds. Default 900. */
  readonly grantMs?: number
}

const shape = { maxBytes: integer(100 * 1024 * 1024, 0), grantMs: timerMs(900) } as const

/** How many ended tokens are remembered, so that an end said twice is told the same. */
const REMEMBERED_ENDS = 1024
const SWEEP_EVERY_MS = 1_000
/** One sweep looks at this share of all keys at the most, so that a million keys never stall the event loop. */
const SWEEP_SHARE = 1 / 20

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
  readonly #entries = new Map<string, StoredKey>()
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  /** Tokens that ended last, and how; the oldest is dropped first. */
  readonly #ended = new Map<string, 'settled' | 'released' | 'left'>()
  /** The same tokens, overwritten in turn: to look for a Map's oldest, all that was deleted from it is stepped over. */
  readonly #endedInOrder: string[] = []
  #nextEnded = 0
  /** The last fence, arrival or settling: all three are on one scale, so that they can be compared. */
  #lastTick = 0
  #recordBytes = 0
  #closed = false
  #sweepTimer: NodeJS.Timeout | undefined
  #sweepAt: IterableIterator<[string, StoredKey]> | undefined

  constructor(options?: MemoryStoreOptions) {
    const parsed = parseOptions('memoryStore', options, shape)
    this.#maxBytes = parsed.maxBytes
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
    this.#assertOpen()
    const entry = this.#entries.get(request.key)
    if (entry === undefined && this.#ended.has(request.token)) return nothingLeft
    if (entry === undefined) return this.#take(this.#add(request.key), request, 0)
    const now = performance.now()
    if (entry.token === request.token) {
      entry.extend(now + request.leaseMs)
      return { state: 'held', fence: entry.fence }
    }
    if (this.#ended.has(request.token)) return nothingLeft
    if (request.takeRecord) {
      const shared = this.#share(entry, request, now)
      if (shared !== undefined) return shared
    }
    if (entry.isHeld(now)) return this.#queue(entry, request, now)
    const first = entry.waiters[0]
    if (first !== undefined && first.token !== request.token) {
      this.#hand(entry, now)
      return this.#queue(entry, request, now)
    }
    if (first !== undefined) entry.waiters.shift()
    return this.#take(entry, request, 0)
  }

  renew(request: RenewRequest): boolean {
    this.#assertOpen()
    const entry = this.#entries.get(request.key)
    if (entry?.token !== request.token) return false
    entry.extend(performance.now() + request.leaseMs)
    return true
  }

  settle(request: SettleRequest): boolean {
    this.#assertOpen()
    const entry = this.#entries.get(request.key)
    if (entry?.token !== request.token) return this.#ended.get(request.token) === 'settled'
    const now = performance.now()
    this.#end(entry, 'settled')
    const takers = entry.waiters.filter(waiter => waiter.takeRecord)
    const retainMs = takers.length > 0 ? Math.max(request.ttlMs, request.retainMs) : request.ttlMs
    this.#keep(entry, {
      bytes: request.record,
      payload: entry.payload,
      settledAt: now,
      settledTick: this.#tick(),
      visibleUntil: now + request.ttlMs,
      retainedUntil: now + retainMs,
    })
    this.#dismiss(entry, takers, waiter => ({ kind: 'record', token: waiter.token, record: request.record }))
    this.#hand(entry, now)
    this.#dropIfIdle(request.key, entry, now)
    return true
  }

  release(request: ReleaseRequest): ReleaseReply {
    this.#assertOpen()
    const entry = this.#entries.get(request.key)
    if (entry?.token !== request.token) {
      if (this.#ended.get(request.token) !== 'released') return { mine: false }
      return request.next === undefined ? { mine: true } : { mine: true, next: this.claim(request.next) }
    }
    const now = performance.now()
    this.#end(entry, 'released')
    if (request.passMs > 0) {
      entry.passUntil = now + request.passMs
      const takers = entry.waiters.filter(waiter => waiter.takeRecord)
      this.#dismiss(entry, takers, waiter => ({ kind: 'pass', token: waiter.token }))
    } else if (request.next !== undefined) {
      const { next } = request
      const mayHold = !this.#ended.has(next.token)
      const othersWait = entry.waiters.some(waiter => waiter.token !== next.token)
      if (mayHold && (!othersWait || entry.localTurns < request.maxLocalTurns)) {
        entry.removeWaiter(next.token)
        return { mine: true, next: this.#take(entry, next, othersWait ? entry.localTurns + 1 : 0) }
      }
      if (mayHold) this.#queue(entry, next, now)
    }
    this.#hand(entry, now)
    const next = request.next === undefined ? undefined : this.claim(request.next)
    this.#dropIfIdle(request.key, entry, now)
    return next === undefined ? { mine: true } : { mine: true, next }
  }

  leave(key: string, token: string): void {
    this.#assertOpen()
    this.#remember(token, 'left')
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    entry.removeWaiter(token)
    const now = performance.now()
    if (entry.token === token) this.#hand(entry, now)
    this.#dropIfIdle(key, entry, now)
  }

  forget(key: string, fence?: number): boolean {
    this.#assertOpen()
    const entry = this.#entries.get(key)
    if (entry === undefined || (fence !== undefined && entry.fence !== fence)) return false
    const existed = entry.describe(key, performance.now()).state !== 'free'
    this.#drop(key, entry)
    if (entry.token !== '') this.#wake({ kind: 'lost', token: entry.token })
    for (const waiter of entry.waiters) this.#wake({ kind: 'look', token: waiter.token })
    return existed
  }

  inspect(key: string): KeyState | undefined {
    this.#assertOpen()
    const entry = this.#entries.get(key)
    return entry === undefined ? undefined : entry.describe(key, performance.now())
  }

  async *list(): AsyncIterableIterator<KeyState> {
    this.#assertOpen()
    for (const [key, entry] of this.#entries) {
      const state = entry.describe(key, performance.now())
      if (state.state !== 'free' || state.waiters > 0) yield state
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#sweepTimer)
    this.#sweepTimer = undefined
    this.#entries.clear()
    this.#mailboxes.clear()
    this.#ended.clear()
    this.#recordBytes = 0
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError('store')
  }

  #add(key: string): StoredKey {
    const entry = new StoredKey()
    this.#entries.set(key, entry)
    this.#sweepTimer ??= setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref()
    return entry
  }

  /** Microseconds, as a Redis server would count them, but never the same twice. */
  #tick(): number {
    this.#lastTick = Math.max(Date.now() * 1000, this.#lastTick + 1)
    return this.#lastTick
  }

  #take(entry: StoredKey, request: Omit<ClaimRequest, 'arrival' | 'key' | 'wait'>, localTurns: number): ClaimReply {
    entry.token = request.token
    entry.fence = this.#tick()
    entry.heldSince = performance.now()
    entry.leaseEndsAt = entry.heldSince + request.leaseMs
    entry.payload = request.payload
    entry.localTurns = localTurns
    entry.passUntil = 0
    if (!request.takeRecord && entry.record !== undefined) entry.record.visibleUntil = 0
    return { state: 'held', fence: entry.fence }
  }

  /** What a claim that takes records is given instead of a turn, if there is anything. */
  #share(entry: StoredKey, request: ClaimRequest, now: number): ClaimReply | undefined {
    const { record } = entry
    if (record !== undefined) {
      const joined = request.arrival > 0 && request.arrival <= record.settledTick
      if (record.visibleUntil > now || (joined && record.retainedUntil > now)) {
        entry.removeWaiter(request.token)
        if (differ(request.payload, record.payload)) return { state: 'mismatch', inFlight: false }
        return { state: 'record', record: record.bytes, ageMs: now - record.settledAt, joined }
      }
    }
    if (entry.passUntil <= now) return undefined
    entry.removeWaiter(request.token)
    return { state: 'pass' }
  }

  #queue(entry: StoredKey, request: ClaimRequest, now: number): ClaimReply {
    // Handing the key on may just have given it to this very claim.
    if (entry.token === request.token) return { state: 'held', fence: entry.fence }
    if (differ(request.payload, entry.payload)) {
      entry.removeWaiter(request.token)
      return { state: 'mismatch', inFlight: true }
    }
    let arrival = request.arrival
    if (request.wait) {
      const { token, takeRecord, payload } = request
      const known = entry.waiters.find(waiter => waiter.token === token)
      if (known !== undefined) entry.removeWaiter(token)
      arrival = known?.arrival ?? (arrival === 0 ? this.#tick() : arrival)
      entry.addWaiter({ token, takeRecord, payload, arrival })
    }
    return { state: 'busy', leaseLeftMs: entry.leaseEndsAt - now, arrival, clockAheadMs: 0 }
  }

  /** Gives the key to the first waiter, if there is one. */
  #hand(entry: StoredKey, now: number): void {
    const first = entry.waiters.shift()
    if (first === undefined) {
      entry.token = ''
      return
    }
    this.#take(entry, { ...first, leaseMs: this.#grantMs }, 0)
    entry.leaseEndsAt = now + this.#grantMs
    this.#wake({ kind: 'turn', token: first.token, fence: entry.fence, leaseEndsAt: entry.leaseEndsAt })
  }

  #end(entry: StoredKey, how: 'settled' | 'released'): void {
    this.#remember(entry.token, how)
    entry.token = ''
  }

  #remember(token: string, how: 'settled' | 'released' | 'left'): void {
    if (!this.#ended.has(token)) {
      const oldest = this.#endedInOrder[this.#nextEnded]
      if (oldest !== undefined) this.#ended.delete(oldest)
      this.#endedInOrder[this.#nextEnded] = token
      this.#nextEnded = (this.#nextEnded + 1) % REMEMBERED_ENDS
    }
    this.#ended.set(token, how)
  }

  #dismiss(entry: StoredKey, waiters: readonly StoredWaiter[], message: (waiter: StoredWaiter) => AddressedWake): void {
    for (const waiter of waiters) {
      entry.removeWaiter(waiter.token)
      this.#wake(message(waiter))
    }
  }

  #keep(entry: StoredKey, record: StoredRecord): void {
    this.#recordBytes += record.bytes.byteLength - (entry.record?.bytes.byteLength ?? 0)
    entry.record = record
    if (this.#recordBytes <= this.#maxBytes) return
    warnOnce(
      'DSPINLOCK_W_MEMORY_FULL',
      `the memory store holds more than maxBytes (${this.#maxBytes}) of records and drops the oldest; raise it, shorten ttlMs, or use Redis`,
    )
    for (const [key, other] of this.#entries) {
      if (this.#recordBytes <= this.#maxBytes) return
      if (other.record === undefined) continue
      this.#recordBytes -= other.record.bytes.byteLength
      other.record = undefined
      if (other !== entry) this.#dropIfIdle(key, other, performance.now())
    }
  }

  /** Later, so that nobody is called back from within their own call. */
  #wake(wake: AddressedWake): void {
    queueMicrotask(() => this.#mailboxes.get(wake.token.slice(0, wake.token.indexOf('.')))?.(wake))
  }

  #dropIfIdle(key: string, entry: StoredKey, now: number): void {
    if (entry.isIdle(now)) this.#drop(key, entry)
  }

  #drop(key: string, entry: StoredKey): void {
    this.#recordBytes -= entry.record?.bytes.byteLength ?? 0
    entry.record = undefined
    if (this.#entries.get(key) === entry) this.#entries.delete(key)
  }

  /** Drops what has run out, a share of the keys at a time. A hold that ran out stays a minute for a late settle. */
  #sweep(): void {
    const now = performance.now()
    let left = Math.max(1_000, this.#entries.size * SWEEP_SHARE)
    this.#sweepAt ??= this.#entries.entries()
    for (; left > 0; left--) {
      const next = this.#sweepAt.next()
      if (next.done === true) {
        this.#sweepAt = undefined
        break
      }
      const [key, entry] = next.value
      if (entry.token !== '' && entry.leaseEndsAt + 60_000 < now) this.#hand(entry, now)
      this.#dropIfIdle(key, entry, now)
    }
    if (this.#entries.size > 0) return
    clearInterval(this.#sweepTimer)
    this.#sweepTimer = undefined
    this.#sweepAt = undefined
  }
}

let mailboxes = 0

/** For a claim that arrives after its own end: nobody waits for the answer any more. */
const nothingLeft: ClaimReply = { state: 'busy', leaseLeftMs: 0, arrival: 0, clockAheadMs: 0 }
