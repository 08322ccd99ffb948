// A hold while it lasts: the handle that its holder sees, and the state behind it.

import { isBytes } from './bytes.js'
import type { Hold } from './entry.js'
import { type HoldTimeoutError, LeaseLostError, optionError, shortTtlWarning } from './errors.js'
import { channels, type EndEvent } from './events.js'
import type { Kept, KeptHold } from './lease-keeper.js'
import type { Policy } from './policy.js'
import type { MaybePromise } from './store.js'
import { type EnterTrace, HoldSpan, type HoldTrace, type Traceable } from './tracing.js'
import { warnOnce } from './warnings.js'
import { whenAnswered } from './when-answered.js'

/** What a hold needs of the lane that it came from. */
export interface HoldOwner {
  renew(hold: ActiveHold): MaybePromise<boolean>
  settle(hold: ActiveHold, record: Uint8Array): MaybePromise<boolean>
  release(hold: ActiveHold, passMs: number): MaybePromise<boolean>
  lost(hold: ActiveHold, reason: LeaseLostError | HoldTimeoutError): void
}

export class ActiveHold implements Hold, KeptHold, Traceable {
  readonly key: string
  readonly fence: number
  readonly token: string
  readonly payload: string
  readonly policy: Policy
  readonly startedAt: number
  leaseEndsAt: number
  kept: Kept | undefined
  readonly #owner: HoldOwner
  /** Why the signal aborted, or will be aborted when somebody first asks for it. */
  #lostFor: LeaseLostError | HoldTimeoutError | undefined
  #ended = false
  /** Made when the signal is asked for, because most holders never look at it. */
  #controller: AbortController | undefined
  /** Undefined while nobody listens. */
  #trace: HoldSpan | undefined

  constructor(
    owner: HoldOwner,
    key: string,
    token: string,
    fence: number,
    payload: string,
    policy: Policy,
    leaseEndsAt: number,
  ) {
    this.#owner = owner
    this.key = key
    this.token = token
    this.fence = fence
    this.payload = payload
    this.policy = policy
    this.startedAt = performance.now()
    this.leaseEndsAt = leaseEndsAt
  }

  get leaseMs(): number {
    return this.policy.leaseMs
  }

  get maxHoldMs(): number {
    return this.policy.maxHoldMs
  }

  get ended(): boolean {
    return this.#ended
  }

  get signal(): AbortSignal {
    const { isLost } = this
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (isLost) this.#controller.abort(this.#lostFor)
      const { signal } = this.#controller
      // A signal that was taken before a stall may be asked before the timer of the next renewal has run.
      Object.defineProperties(signal, {
        aborted: { get: () => this.isLost },
        throwIfAborted: {
          value: () => {
            if (this.isLost) throw signal.reason
          },
        },
      })
    }
    return this.#controller.signal
  }

  /** Looks at the clock as well, and makes no signal. */
  get isLost(): boolean {
    if (this.leaseEndsAt <= performance.now()) this.lose(new LeaseLostError(this.key, 'expired'))
    return this.#lostFor !== undefined
  }

  settle(record: Uint8Array): MaybePromise<boolean> {
    if (this.#ended) return false
    if (!this.policy.leavesRecord) return this.release()
    // If a store were given anything else, it might hand it to others, or count its size wrongly.
    if (!isBytes(record)) throw optionError('record', record, 'a Uint8Array')
    this.#ended = true
    const { ttlMs } = this.policy
    // Those who give up waiting, and try again, do so after about as long as the work takes. By then the record would be gone.
    if (ttlMs && ttlMs < performance.now() - this.startedAt) warnOnce('DSPINLOCK_W_TTL_SHORT', shortTtlWarning(ttlMs))
    if (!this.#isHeard()) return this.#owner.settle(this, record)
    // An object of its own, by which those who are given it are told whose it is: several holds may leave the same bytes, such as a tombstone.
    const own = record.subarray()
    return this.#reportEnd('settled', own, () => this.#owner.settle(this, own))
  }

  release(options?: { readonly passMs?: number }): MaybePromise<boolean> {
    if (this.#ended) return false
    this.#ended = true
    const passMs = options?.passMs ?? 0
    if (!this.#isHeard()) return this.#owner.release(this, passMs)
    return this.#reportEnd('released', undefined, () => this.#owner.release(this, passMs))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.release()
    } catch {
      // The error was published where it happened; throwing it here would hide the error that ended the block.
    }
  }

  renew(): MaybePromise<boolean> {
    return this.#owner.renew(this)
  }

  lose(reason: LeaseLostError | HoldTimeoutError): void {
    if (this.#ended || this.#lostFor !== undefined) return
    this.#lostFor = reason
    if (channels.lost.hasSubscribers) channels.lost.publish({ key: this.key, fence: this.fence, reason })
    this.#trace?.lose(reason)
    this.#owner.lost(this, reason)
    this.#controller?.abort(reason)
  }

  get trace(): HoldTrace | undefined {
    return this.#trace
  }

  startTrace(enter: EnterTrace): void {
    this.#trace = new HoldSpan(this.key, this.fence, this.startedAt, enter)
    // The trace starts a microtask or more after the hold, which may have been lost (by `forget`) in between.
    if (this.#lostFor !== undefined) this.#trace.lose(this.#lostFor)
  }

  #isHeard(): boolean {
    return this.#trace !== undefined || channels.end.hasSubscribers
  }

  #reportEnd(
    how: 'settled' | 'released',
    record: Uint8Array | undefined,
    end: () => MaybePromise<boolean>,
  ): MaybePromise<boolean> {
    const report = (came: EndEvent['how'], error?: unknown): void => {
      this.#trace?.endSettle(came, error)
      const heldMs = performance.now() - this.startedAt
      const recordBytes = record?.byteLength ?? 0
      channels.end.publish({ key: this.key, fence: this.fence, how: came, heldMs, recordBytes })
    }
    this.#trace?.startSettle(record)
    return whenAnswered(
      end,
      mine => {
        report(mine ? how : 'lost')
        return mine
      },
      error => {
        report('failed', error)
        throw error
      },
    )
  }
}

/** Whether an engine's hold has been lost, by `forget` or because its lease ran out. */
export function isLost(hold: object): boolean {
  return (hold as Partial<ActiveHold>).isLost === true
}
