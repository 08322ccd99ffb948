// One caller of enter that has no answer yet, and the ways in which its wait ends by itself.

import type { Entry } from './entry.js'
import { WaitTimeoutError } from './errors.js'
import type { Linked } from './linked-list.js'
import { MAX_TIMER_MS } from './options.js'
import type { Cancellation, Policy } from './policy.js'
import type { EnterCall } from './tracing.js'

export class Waiter implements Linked<Waiter> {
  readonly key: string
  readonly policy: Policy
  readonly payload: string
  readonly enteredAt: number
  /** Whether it counts towards the limits: not while it may still get the key without waiting. */
  counted = false
  /** Undefined while nobody listens. */
  trace: EnterCall | undefined
  /** Whether it is in a queue, and its neighbours there. */
  isLinked = false
  previous: Waiter | undefined
  next: Waiter | undefined
  readonly promise: Promise<Entry>
  readonly #signal: Cancellation | undefined
  readonly #onGone: (waiter: Waiter) => void
  #resolve!: (entry: Entry) => void
  #reject!: (reason: unknown) => void
  #timer: NodeJS.Timeout | undefined

  /** `onGone`: called when the wait ended by its timeout or signal. */
  constructor(
    key: string,
    policy: Policy,
    payload: string,
    signal: Cancellation | undefined,
    onGone: (waiter: Waiter) => void,
  ) {
    this.key = key
    this.policy = policy
    this.payload = payload
    this.enteredAt = performance.now()
    this.#signal = signal
    this.#onGone = onGone
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /**
   * Ends the wait after `ms`, or on its signal; called again, the time starts anew. The timer keeps the process alive:
   * somebody awaits this, and it ends.
   */
  watch(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        this.#onGone(this)
        this.reject(new WaitTimeoutError(this.key, this.policy.waitMs))
      },
      Math.min(ms, MAX_TIMER_MS),
    )
    this.#signal?.addEventListener('abort', this.#abort, { once: true })
  }

  answer(entry: Entry): void {
    this.#unwatch()
    this.#resolve(entry)
  }

  reject(reason: unknown): void {
    this.#unwatch()
    this.#reject(reason)
  }

  readonly #abort = (): void => {
    this.#onGone(this)
    this.reject(this.#signal?.reason)
  }

  #unwatch(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#abort)
  }
}
