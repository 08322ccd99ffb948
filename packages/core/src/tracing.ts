// Publishes operations that take time on tracing channels: start and end of one carry the same object, made only while somebody listens.

import { tracingChannel } from 'node:diagnostics_channel'
import type { Duplicates, Entry } from './entry.js'
import { channels } from './events.js'
import type { MaybePromise } from './store.js'
import type { TraceChannel } from './trace-channel.js'
import { whenAnswered } from './when-answered.js'

/** One call of `enter`. Its outcome is set at its end. */
export interface EnterTrace {
  readonly key: string
  /** The kind of work, as the caller gave it. */
  readonly label: string | undefined
  readonly duplicates: Duplicates
  /** Undefined until the end. `failed`: the call was rejected, with `error`. */
  readonly role: Entry['role'] | 'failed' | undefined
  /** Why the call was refused. */
  readonly reason: 'in-flight' | 'settled' | 'mismatch' | undefined
  /** Whether the call had to wait for others, in this process or another. */
  readonly hasWaited: boolean
  /** For a follower, the hold that left the record, if it was in this process and is still known. */
  readonly holder: HoldTrace | undefined
  readonly error: unknown
}

/** One hold, from the moment when its holder has it. How it ended is set at its end. */
export interface HoldTrace {
  readonly key: string
  readonly fence: number
  readonly label: string | undefined
  readonly enter: EnterTrace
  /**
   * Undefined until the end. `settled` with a record, `released` without one; `lost` if the hold was lost, and `error` says why if that is
   * known; `failed` if the store did not answer: then the lease runs out by itself.
   */
  readonly how: 'settled' | 'released' | 'lost' | 'failed' | undefined
  readonly heldMs: number
  /** Size of the record that the hold leaves, in bytes; 0 without one. */
  readonly recordBytes: number
  readonly error: unknown
  /**
   * For a tracer to set at the start of the hold: the hold's span, as a W3C `traceparent`. It is kept with a recorded response, so
   * that duplicates in other processes can link to the span.
   */
  traceparent: string | undefined
}

type Tracing = {
  /** One call of `enter`, from the call to its answer. */
  readonly enter: TraceChannel<EnterTrace>
  /** The part of a call of `enter` in which it waited for others; most calls have none. */
  readonly wait: TraceChannel<EnterTrace>
  /** From having the key until the store was told that the hold has ended. */
  readonly hold: TraceChannel<HoldTrace>
  /** Telling the store how a hold ended, with a record or without: the last part of a hold. */
  readonly settle: TraceChannel<HoldTrace>
}

/**
 * Named `dspinlock:enter` and so on, for `tracingChannel` of `node:diagnostics_channel`. `start` is published first, `asyncEnd` last, and
 * `error` before that if there is one; this is the same if the store answers at once.
 */
export const tracing: Tracing = Object.freeze({
  enter: tracingChannel<unknown, EnterTrace>('dspinlock:enter'),
  wait: tracingChannel<unknown, EnterTrace>('dspinlock:wait'),
  hold: tracingChannel<unknown, HoldTrace>('dspinlock:hold'),
  settle: tracingChannel<unknown, HoldTrace>('dspinlock:settle'),
})

/** Makes the object that follows one call of `enter`; undefined if nobody listens. */
export function openEnter(key: string, duplicates: Duplicates, label: string | undefined): EnterCall | undefined {
  return channels.enter.hasSubscribers || isTraced() ? new EnterCall(key, duplicates, label) : undefined
}

/** Whether anybody listens to one of the tracing channels. */
export function isTraced(): boolean {
  const { enter, wait, hold, settle } = tracing
  return enter.hasSubscribers || wait.hasSubscribers || hold.hasSubscribers || settle.hasSubscribers
}

export class EnterCall implements EnterTrace {
  readonly key: string
  readonly label: string | undefined
  readonly duplicates: Duplicates
  role: EnterTrace['role']
  reason: EnterTrace['reason']
  hasWaited = false
  holder: HoldTrace | undefined
  error: unknown
  readonly #startedAt = performance.now()

  constructor(key: string, duplicates: Duplicates, label: string | undefined) {
    this.key = key
    this.duplicates = duplicates
    this.label = label
  }

  follow<R extends MaybePromise<Entry>>(enter: () => R): R {
    return whenAnswered<Entry, Entry>(
      () => runTraced(tracing.enter, this, enter),
      entry => this.#answer(entry),
      error => {
        throw this.#fail(error)
      },
    ) as R
  }

  /** Called when another holder has the key, so that this call has to wait. */
  startWait(): void {
    if (this.hasWaited) return
    this.hasWaited = true
    begin(tracing.wait, this)
  }

  #answer(entry: Entry): Entry {
    if (entry.role === 'refused') this.reason = entry.reason
    if (entry.role === 'follower') this.holder = leftBy.get(entry.record)
    this.#end(entry.role)
    if (entry.role === 'holder') (entry.hold as Partial<Traceable>).startTrace?.(this)
    return entry
  }

  #fail(error: unknown): unknown {
    this.error = error
    this.#end('failed')
    return error
  }

  #end(role: NonNullable<EnterTrace['role']>): void {
    this.role = role
    if (this.hasWaited) complete(tracing.wait, this)
    complete(tracing.enter, this)
    if (!channels.enter.hasSubscribers) return
    const waitedMs = performance.now() - this.#startedAt
    channels.enter.publish({ key: this.key, role, reason: this.reason, waitedMs, error: this.error })
  }
}

/** A hold that can be told of the call of `enter` from which it results. */
export interface Traceable {
  readonly trace: HoldTrace | undefined
  startTrace(enter: EnterTrace): void
}

/** The hold that left a record, by the record's bytes as an object, so that records that come from a server are not found. */
const leftBy = new WeakMap<Uint8Array, HoldTrace>()

export class HoldSpan implements HoldTrace {
  readonly key: string
  readonly fence: number
  readonly enter: EnterTrace
  readonly label: string | undefined
  how: HoldTrace['how']
  heldMs = 0
  recordBytes = 0
  error: unknown
  traceparent: string | undefined
  readonly #startedAt: number

  constructor(key: string, fence: number, startedAt: number, enter: EnterTrace) {
    this.key = key
    this.fence = fence
    this.enter = enter
    this.label = enter.label
    this.#startedAt = startedAt
    begin(tracing.hold, this)
  }

  /** `record` is what the hold is to leave; undefined if it leaves none. */
  startSettle(record: Uint8Array | undefined): void {
    if (record !== undefined) leftBy.set(record, this)
    this.recordBytes = record?.byteLength ?? 0
    begin(tracing.settle, this)
  }

  endSettle(how: NonNullable<HoldTrace['how']>, error?: unknown): void {
    // If the hold was lost before, its own end was published then.
    const isOver = this.how !== undefined
    if (!isOver) this.#set(how, error)
    complete(tracing.settle, this)
    if (!isOver) complete(tracing.hold, this)
  }

  lose(reason: Error): void {
    if (this.how !== undefined) return
    this.#set('lost', reason)
    complete(tracing.hold, this)
  }

  #set(how: NonNullable<HoldTrace['how']>, error: unknown): void {
    this.how = how
    this.heldMs = performance.now() - this.#startedAt
    this.error = error
  }
}

/** The hold that left these very bytes, if it was in this process and somebody listened. */
export function holderOf(record: Uint8Array): HoldTrace | undefined {
  return leftBy.get(record)
}

/** The trace of a hold; undefined while nobody listens. */
export function traceOf(hold: object): HoldTrace | undefined {
  return (hold as Partial<Traceable>).trace
}

function begin<T extends object>({ start, end }: TraceChannel<T>, trace: T): void {
  start.publish(trace)
  end.publish(trace)
}

/** Runs `work` between the start of `trace` and the end of what happens at once. */
export function runTraced<T extends object, R>({ start, end }: TraceChannel<T>, trace: T, work: () => R): R {
  try {
    return start.runStores(trace, work)
  } finally {
    end.publish(trace)
  }
}

/** Publishes that all of `trace` is over. */
export function complete<T extends { readonly error: unknown }>(
  { error, asyncStart, asyncEnd }: TraceChannel<T>,
  trace: T,
): void {
  if (trace.error !== undefined) error.publish(trace as T & { error: unknown })
  asyncStart.publish(trace)
  asyncEnd.publish(trace)
}
