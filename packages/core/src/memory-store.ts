// The embedded store: claims and records in this process, every answer at once.

import { ClosedError } from './errors.js'
import { integer, parseOptions, timerMs } from './options.js'
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

interface Waiter {
  readonly token: string
  readonly takeRecord: boolean
  readonly payload: string
  readonly arrival: number
}

interface StoredRecord {
  readonly bytes: Uint8Array
  readonly payload: string
  /** The fence of the hold that left it: who arrived after that was waiting for it. */
  readonly fence: number
  readonly settledAt: number
  /** On the scale of fences and arrivals. */
  readonly settledTick: number
  visibleUntil: number
  readonly retainedUntil: number
}

class Entry {
  /** The holder's token, '' if nobody holds. It stays after the lease ran out, until somebody claims. */
  token = ''
  leaseEndsAt = 0
  heldSince = 0
  fence = 0
  payload = ''
  /** Turns in a row that the holder's process gave to itself while others waited. */
  localTurns = 0
  passUntil = 0
  record: StoredRecord | undefined = undefined
  /** In order of arrival. */
  readonly waiters: Waiter[] = []
}

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
  readonly #entries = new Map<string, Entry>()
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  /** Tokens whose hold ended last, and whether with a record; the oldest is dropped first. */
  readonly #ended = new Map<string, 'settled' | 'released'>()
  /** The last fence, arrival or settling: all three are on one scale, so that they can be compared. */
  #lastTick = 0
  #recordBytes = 0
  #closed = false
  #sweepTimer: NodeJS.Timeout | undefined
  #sweepAt: IterableIterator<[string, Entry]> | undefined

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
    if (entry === undefined) return this.#take(this.#add(request.key), request, 0)
    const now = performance.now()
    if (entry.token === request.token) {
      entry.leaseEndsAt = now + request.leaseMs
      return { state: 'held', fence: entry.fence }
    }
    if (request.takeRecord) {
      const shared = this.#share(entry, request, now)
      if (shared !== undefined) return shared
    }
    if (entry.token !== '' && entry.leaseEndsAt > now) return this.#queue(entry, request, now)
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
    entry.leaseEndsAt = performance.now() + request.leaseMs
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
      fence: entry.fence,
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
      const othersWait = entry.waiters.some(waiter => waiter.token !== next.token)
      if (!othersWait || entry.localTurns < request.maxLocalTurns) {
        removeWaiter(entry, next.token)
        return { mine: true, next: this.#take(entry, next, othersWait ? entry.localTurns + 1 : 0) }
      }
      this.#queue(entry, next, now)
    }
    this.#hand(entry, now)
    const next = request.next === undefined ? undefined : this.claim(request.next)
    this.#dropIfIdle(request.key, entry, now)
    return next === undefined ? { mine: true } : { mine: true, next }
  }

  leave(key: string, token: string): void {
    this.#assertOpen()
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    removeWaiter(entry, token)
    const now = performance.now()
    if (entry.token === token) {
      this.#end(entry, 'released')
      this.#hand(entry, now)
    }
    this.#dropIfIdle(key, entry, now)
  }

  forget(key: string, fence?: number): boolean {
    this.#assertOpen()
    const entry = this.#entries.get(key)
    if (entry === undefined || (fence !== undefined && entry.fence !== fence)) return false
    const existed = this.#describe(key, entry, performance.now()).state !== 'free'
    this.#drop(key, entry)
    for (const waiter of entry.waiters) this.#wake({ kind: 'look', token: waiter.token })
    return existed
  }

  inspect(key: string): KeyState | undefined {
    this.#assertOpen()
    const entry = this.#entries.get(key)
    return entry === undefined ? undefined : this.#describe(key, entry, performance.now())
  }

  async *list(): AsyncIterableIterator<KeyState> {
    this.#assertOpen()
    for (const [key, entry] of this.#entries) {
      const state = this.#describe(key, entry, performance.now())
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

  #add(key: string): Entry {
    const entry = new Entry()
    this.#entries.set(key, entry)
    this.#sweepTimer ??= setInterval(() => this.#sweep(), SWEEP_EVERY_MS).unref()
    return entry
  }

  /** Microseconds, as a Redis server would count them, but never the same twice. */
  #tick(): number {
    this.#lastTick = Math.max(Date.now() * 1000, this.#lastTick + 1)
    return this.#lastTick
  }

  #take(entry: Entry, request: Omit<ClaimRequest, 'arrival' | 'key' | 'wait'>, localTurns: number): ClaimReply {
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
  #share(entry: Entry, request: ClaimRequest, now: number): ClaimReply | undefined {
    const { record } = entry
    if (record !== undefined) {
      const joined = request.arrival > record.fence && request.arrival <= record.settledTick
      if (record.visibleUntil > now || (joined && record.retainedUntil > now)) {
        removeWaiter(entry, request.token)
        if (differs(request.payload, record.payload)) return { state: 'mismatch', inFlight: false }
        return { state: 'record', record: record.bytes, ageMs: now - record.settledAt, joined }
      }
    }
    if (entry.passUntil <= now) return undefined
    removeWaiter(entry, request.token)
    return { state: 'pass' }
  }

  #queue(entry: Entry, request: ClaimRequest, now: number): ClaimReply {
    // Handing the key on may just have given it to this very claim.
    if (entry.token === request.token) return { state: 'held', fence: entry.fence }
    if (differs(request.payload, entry.payload)) {
      removeWaiter(entry, request.token)
      return { state: 'mismatch', inFlight: true }
    }
    let arrival = request.arrival
    if (request.wait) {
      const known = entry.waiters.find(waiter => waiter.token === request.token)
      if (known === undefined) {
        arrival = arrival === 0 ? this.#tick() : arrival
        const { token, takeRecord, payload } = request
        const behind = entry.waiters.findIndex(waiter => waiter.arrival > arrival)
        entry.waiters.splice(behind < 0 ? entry.waiters.length : behind, 0, { token, takeRecord, payload, arrival })
      } else {
        arrival = known.arrival
      }
    }
    return { state: 'busy', leaseLeftMs: entry.leaseEndsAt - now, arrival, clockAheadMs: 0 }
  }

  /** Gives the key to the first waiter, if there is one. */
  #hand(entry: Entry, now: number): void {
    const first = entry.waiters.shift()
    if (first === undefined) {
      entry.token = ''
      return
    }
    this.#take(entry, { ...first, leaseMs: this.#grantMs }, 0)
    entry.leaseEndsAt = now + this.#grantMs
    this.#wake({ kind: 'turn', token: first.token, fence: entry.fence, leaseEndsAt: entry.leaseEndsAt })
  }

  #end(entry: Entry, how: 'settled' | 'released'): void {
    this.#ended.set(entry.token, how)
    if (this.#ended.size > REMEMBERED_ENDS) {
      for (const oldest of this.#ended.keys()) {
        this.#ended.delete(oldest)
        break
      }
    }
    entry.token = ''
  }

  #dismiss(entry: Entry, waiters: readonly Waiter[], message: (waiter: Waiter) => AddressedWake): void {
    for (const waiter of waiters) {
      removeWaiter(entry, waiter.token)
      this.#wake(message(waiter))
    }
  }

  #keep(entry: Entry, record: StoredRecord): void {
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

  #dropIfIdle(key: string, entry: Entry, now: number): void {
    if (entry.token !== '' || entry.waiters.length > 0 || entry.passUntil > now) return
    if (entry.record !== undefined && Math.max(entry.record.visibleUntil, entry.record.retainedUntil) > now) return
    this.#drop(key, entry)
  }

  #drop(key: string, entry: Entry): void {
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

  #describe(key: string, entry: Entry, now: number): KeyState {
    const held = entry.token !== '' && entry.leaseEndsAt > now
    const record = entry.record !== undefined && entry.record.visibleUntil > now ? entry.record : undefined
    const passes = entry.passUntil > now
    return {
      key,
      state: held ? 'held' : record !== undefined ? 'settled' : passes ? 'pass' : 'free',
      fence: entry.fence,
      heldMs: held ? now - entry.heldSince : 0,
      leaseLeftMs: held ? entry.leaseEndsAt - now : 0,
      recordBytes: record?.bytes.byteLength ?? 0,
      ageMs: record === undefined ? 0 : now - record.settledAt,
      ttlLeftMs: record !== undefined ? record.visibleUntil - now : passes ? entry.passUntil - now : 0,
      waiters: entry.waiters.length,
    }
  }
}

let mailboxes = 0

/** Two payloads contradict each other only if both are given. */
function differs(a: string, b: string): boolean {
  return a !== '' && b !== '' && a !== b
}

function removeWaiter(entry: Entry, token: string): void {
  const at = entry.waiters.findIndex(waiter => waiter.token === token)
  if (at >= 0) entry.waiters.splice(at, 1)
}
