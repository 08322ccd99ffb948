// One caller of enter that has no answer yet. Many may wait at once, so whatever all waiters of a key share is in the queue.

import type { Entry } from './entry.js'
import type { Linked } from './linked-list.js'
import type { AbortListener, Cancellation, Policy } from './policy.js'
import type { EnterCall } from './tracing.js'

export interface WaiterOwner {
  /** The wait is about to end by its timeout or signal. */
  gone(waiter: Waiter): void
}

export class Waiter implements Linked<Waiter>, AbortListener {
  readonly policy: Policy
  readonly payload: string
  /** When the wait began, in `performance.now()`; 0 if it has not. The queue's to write. */
  cameAt = 0
  /** Whether the waiter counts towards the limits. */
  counted = false
  /** Whether it is clear that the waiter has to wait, so that its time runs. */
  started = false
  /** When the wait times out, in `performance.now()`. Only the queue writes it. */
  endsAt: number = Number.POSITIVE_INFINITY
  /** Undefined while nobody listens. */
  trace: EnterCall | undefined
  /** Whether the waiter is in a queue, and, below, its neighbours there. */
  isLinked = false
  previous: Waiter | undefined
  next: Waiter | undefined
  readonly promise: Promise<Entry>
  readonly #signal: Cancellation | undefined
  #resolve!: (entry: Entry) => void
  #reject!: (reason: unknown) => void
  /** Set once the waiter listens to its signal. */
  #owner: WaiterOwner | undefined

  constructor(policy: Policy, payload: string, signal: Cancellation | undefined) {
    this.policy = policy
    this.payload = payload
    this.#signal = signal
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** From now on the waiter's signal ends the wait. */
  listen(owner: WaiterOwner): void {
    if (this.#signal === undefined || this.#owner !== undefined) return
    this.#owner = owner
    this.#signal.addEventListener('abort', this, { once: true })
  }

  /** Called by the waiter's signal. */
  handleEvent(): void {
    this.#owner?.gone(this)
    this.reject(this.#signal?.reason)
  }

  answer(entry: Entry): void {
    this.#unlisten()
    this.#resolve(entry)
  }

  reject(reason: unknown): void {
    this.#unlisten()
    this.#reject(reason)
  }

  #unlisten(): void {
    if (this.#owner !== undefined) this.#signal?.removeEventListener('abort', this)
  }
}
