// Renews every hold of an engine a few times within its lease, with one timer, and notices when a lease is lost.

import { AsyncResource } from 'node:async_hooks'
import { ClosedError, HoldTimeoutError, LeaseLostError } from './errors.js'
import { publishTrouble } from './events.js'
import { type Linked, LinkedList } from './linked-list.js'
import type { MaybePromise } from './store.js'
import { whenAnswered } from './when-answered.js'

/** What the keeper knows about a hold. Times are in `performance.now()`. */
export interface KeptHold {
  readonly key: string
  readonly leaseMs: number
  readonly maxHoldMs: number
  readonly startedAt: number
  /** Until this time, by this process's clock, nobody else can hold the key. */
  leaseEndsAt: number
  /** The keeper's own entry; only the keeper sets it. */
  kept: Kept | undefined
  /** Asks the store to renew the lease; `false`: the hold is lost. */
  renew(): MaybePromise<boolean>
  /** The hold is lost, if it has not ended; whoever made it removes it from the keeper. */
  lose(reason: LeaseLostError | HoldTimeoutError): void
}

/**
 * When a lease that was asked for at `sentAt` ends for the one that asked: a little earlier than for the store, which
 * counts whole milliseconds by another clock.
 */
export function leaseEnd(sentAt: number, leaseMs: number): number {
  return sentAt + leaseMs * 0.999 - 1
}

/** Renewals within one lease, so that two may fail before the lease is lost. */
const RENEWALS_PER_LEASE = 3
/** After a failed renewal, the next try comes this soon. */
const RETRY_MS = 100

export class Kept implements Linked<Kept> {
  readonly hold: KeptHold
  renewAt: number
  renewing = false
  /** Runs while it is uncertain whether the next renewal comes in time. */
  expiryTimer: NodeJS.Timeout | undefined
  /** Runs in the last renewal period before `maxHoldMs` is over. */
  stopTimer: NodeJS.Timeout | undefined
  isLinked = false
  previous: Kept | undefined
  next: Kept | undefined

  constructor(hold: KeptHold, renewAt: number) {
    this.hold = hold
    this.renewAt = renewAt
  }
}

export class LeaseKeeper {
  /** Holds by `leaseMs`: those with the same `leaseMs` are in the order in which they are due, because they have the same period. */
  readonly #byLease = new Map<number, LinkedList<Kept>>()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Number.POSITIVE_INFINITY
  #stopped = false
  /** Bound, or all renewals would run in the async context of one request, and be traced, or routed, as its own. */
  readonly #tick = AsyncResource.bind(() => this.#renewDue())

  /** Keeps `hold` until `remove`. */
  add(hold: KeptHold): void {
    let queue = this.#byLease.get(hold.leaseMs)
    if (queue === undefined) {
      queue = new LinkedList()
      this.#byLease.set(hold.leaseMs, queue)
    }
    const periodMs = hold.leaseMs / RENEWALS_PER_LEASE
    const renewAt = performance.now() + periodMs
    const kept = new Kept(hold, renewAt)
    hold.kept = kept
    queue.append(kept)
    if (hold.maxHoldMs <= periodMs) this.#stopAfter(kept, hold.maxHoldMs)
    // A turn is given under a short lease, and the answer to a claim may have taken long. Renewed after the turn of the event loop in which the
    // holder starts, so that the holder need not wait; a hold that has ended by then needs no renewal.
    if (hold.leaseEndsAt < renewAt + periodMs / 2) setImmediate(() => this.#renewUnlessUnderWay(kept))
    this.#arm(renewAt)
  }

  remove(hold: KeptHold): void {
    const { kept } = hold
    const queue = this.#byLease.get(hold.leaseMs)
    if (kept === undefined || queue === undefined) return
    hold.kept = undefined
    clearTimeout(kept.expiryTimer)
    clearTimeout(kept.stopTimer)
    queue.remove(kept)
    if (queue.size === 0 && this.#byLease.size > 16) this.#byLease.delete(hold.leaseMs)
  }

  /** Stops all renewals. Holders that remain are told when their leases run out. */
  stop(): void {
    clearTimeout(this.#timer)
    this.#stopped = true
    for (const queue of this.#byLease.values()) queue.forEach(kept => this.#watchExpiry(kept))
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    this.#timer = setTimeout(this.#tick, Math.max(1, at - performance.now())).unref()
  }

  #renewDue(): void {
    this.#timerAt = Number.POSITIVE_INFINITY
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const [leaseMs, queue] of this.#byLease) {
      for (let kept = queue.first; kept !== undefined; kept = queue.first) {
        if (kept.renewAt > now) {
          next = Math.min(next, kept.renewAt)
          break
        }
        this.#due(kept, now, leaseMs / RENEWALS_PER_LEASE)
        // A hold that was lost is removed already; any other goes to the end of its list.
        if (queue.remove(kept)) queue.append(kept)
      }
    }
    if (next < Number.POSITIVE_INFINITY) this.#arm(next)
  }

  #due(kept: Kept, now: number, periodMs: number): void {
    kept.renewAt = now + periodMs
    const { hold } = kept
    const leftMs = hold.startedAt + hold.maxHoldMs - now
    // After a stall it may be over already; then the lease is not renewed.
    if (leftMs <= 0) return hold.lose(new HoldTimeoutError(hold.key, hold.maxHoldMs))
    if (leftMs < periodMs) this.#stopAfter(kept, leftMs)
    if (this.#loseIfExpired(kept)) return
    if (kept.renewing) this.#watchExpiry(kept)
    else this.#renew(kept)
  }

  #stopAfter(kept: Kept, ms: number): void {
    const { hold } = kept
    kept.stopTimer = setTimeout(() => hold.lose(new HoldTimeoutError(hold.key, hold.maxHoldMs)), ms).unref()
  }

  #renew(kept: Kept): void {
    const { hold } = kept
    const sentAt = performance.now()
    const answered = (mine: boolean): void => {
      kept.renewing = false
      if (!mine) return hold.lose(new LeaseLostError(hold.key, 'taken'))
      hold.leaseEndsAt = leaseEnd(sentAt, hold.leaseMs)
      // The answer came too late to rely on: another holder may have the key by now.
      if (this.#loseIfExpired(kept) || this.#stopped) return
      clearTimeout(kept.expiryTimer)
      kept.expiryTimer = undefined
    }
    const failed = (error: unknown): void => {
      kept.renewing = false
      publishTrouble('core', 'renew', error, hold.key)
      if (!this.#isKept(kept)) return
      this.#watchExpiry(kept)
      // A store that was closed stays so.
      if (!(error instanceof ClosedError)) setTimeout(() => this.#renewUnlessUnderWay(kept), RETRY_MS).unref()
    }
    kept.renewing = true
    void whenAnswered(() => hold.renew(), answered, failed)
    if (kept.renewing && hold.leaseEndsAt - sentAt < hold.leaseMs / RENEWALS_PER_LEASE) this.#watchExpiry(kept)
  }

  #renewUnlessUnderWay(kept: Kept): void {
    if (this.#isKept(kept) && !kept.renewing && !this.#stopped) this.#renew(kept)
  }

  #watchExpiry(kept: Kept): void {
    kept.expiryTimer ??= setTimeout(
      () => {
        kept.expiryTimer = undefined
        // It may have been renewed meanwhile.
        if (this.#isKept(kept) && !this.#loseIfExpired(kept)) this.#watchExpiry(kept)
      },
      Math.max(0, kept.hold.leaseEndsAt - performance.now()),
    ).unref()
  }

  #isKept(kept: Kept): boolean {
    return kept.hold.kept === kept
  }

  /** False if the lease lasts. */
  #loseIfExpired(kept: Kept): boolean {
    const hasExpired = kept.hold.leaseEndsAt <= performance.now()
    if (hasExpired) kept.hold.lose(new LeaseLostError(kept.hold.key, 'expired'))
    return hasExpired
  }
}
