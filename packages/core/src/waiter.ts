// One caller of enter that has no answer yet. Many may wait at once: what is the same for all of a key is the queue's.

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
  /** `performance.now()`. */
  readonly cameAt: number = performance.now()
  /** Whether it counts towards the limits: not while it may still get the key without waiting. */
  counted = false
  /** When its time is over, in `performance.now()`. The queue's to write. */
  endsAt = 0
  /** Undefined while nobody listens. */
  trace: EnterCall | undefined
  /** Whether it is in a queue, and its neighbours there. */
  isLinked = false
  previous: Waiter | undefined
  next: Waiter | undefined
  readonly promise: Promise<Entry>
  readonly #signal: Cancellation | undefined
  #resolve!: (entry: Entry) => void
  #reject!: (reason: unknown) => void
  /** Set once it listens to its signal. */
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

  /** From now on its signal ends the wait. */
  listen(owner: WaiterOwner): void {
    if (this.#signal === undefined || this.#owner !== undefined) return
    this.#owner = owner
    this.#signal.addEventListener('abort', this, { once: true })
  }

  /** Called by its signal. */
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
