// One caller of enter that has no answer yet. Many may wait at once: what is the same for all of a key is the queue's.

import type { Entry } from './entry.js'
import type { Linked } from './linked-list.js'
import type { Cancellation, Policy } from './policy.js'
import type { EnterCall } from './tracing.js'

export interface WaiterOwner {
  /** The wait is about to end by its timeout or signal. */
  gone(waiter: Waiter): void
}

export class Waiter implements Linked<Waiter> {
  readonly policy: Policy
  readonly payload: string
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
  /**
   * Set once it listens to its signal. In a list, because V8 keeps a function that is assigned to a property, and all that it knows, until the next full
   * collection (docs/decisions/069).
   */
  #onAbort: readonly [() => void] | undefined

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
    if (this.#signal === undefined || this.#onAbort !== undefined) return
    const onAbort = (): void => {
      owner.gone(this)
      this.reject(this.#signal?.reason)
    }
    this.#onAbort = [onAbort]
    this.#signal.addEventListener('abort', onAbort, { once: true })
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
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort[0])
  }
}
