// The callers that wait for one key in this process, in order of arrival.

import { refuseWhileBusy } from './answers.js'
import type { Entry } from './entry.js'
import type { Waiter } from './waiter.js'

/** Counts the waiters of all keys of an engine. */
export interface WaiterCounter {
  /** Counts one more waiter beside `others` on the same key, or throws a WaiterLimitError. */
  addWaiter(key: string, others: number): void
  removeWaiter(): void
}

export class Queue {
  readonly #key: string
  readonly #counter: WaiterCounter
  readonly #waiters = new Set<Waiter>()

  constructor(key: string, counter: WaiterCounter) {
    this.#key = key
    this.#counter = counter
  }

  get size(): number {
    return this.#waiters.size
  }

  /** Who came first; its wishes make the claim. */
  get head(): Waiter | undefined {
    for (const waiter of this.#waiters) return waiter
    return undefined
  }

  has(waiter: Waiter): boolean {
    return this.#waiters.has(waiter)
  }

  /** Whether any of them would wait for a key that is busy. */
  hasPatient(): boolean {
    for (const { policy } of this.#waiters) if (policy.waits) return true
    return false
  }

  /** `mayBeServedAtOnce`: it counts, and its time runs, only from the moment at which it has to wait. Throws a WaiterLimitError. */
  add(waiter: Waiter, mayBeServedAtOnce: boolean): void {
    if (!mayBeServedAtOnce) this.#startWait(waiter, this.#waiters.size)
    this.#waiters.add(waiter)
  }

  remove(waiter: Waiter): void {
    if (this.#waiters.delete(waiter) && waiter.counted) this.#counter.removeWaiter()
  }

  /** Those for whom there is an answer get it, and wait no longer. */
  answer(answerFor: (waiter: Waiter) => Entry | undefined): void {
    for (const waiter of this.#waiters) {
      const answer = answerFor(waiter)
      if (answer === undefined) continue
      this.remove(waiter)
      waiter.answer(answer)
    }
  }

  rejectAll(reason: () => unknown): void {
    for (const waiter of this.#waiters) {
      this.remove(waiter)
      waiter.reject(reason())
    }
  }

  /** Somebody else has the key, for another `leaseLeftMs` at least: who may wait goes on, and the others are refused. */
  stay(leaseLeftMs: number): void {
    const { head } = this
    if (head === undefined) return
    this.answer(waiter => refuseWhileBusy(waiter, head.payload, leaseLeftMs))
    for (const waiter of this.#waiters) {
      if (waiter.counted) continue
      try {
        this.#startWait(waiter, this.#waiters.size - 1)
      } catch (error) {
        this.remove(waiter)
        waiter.reject(error)
      }
    }
  }

  #startWait(waiter: Waiter, others: number): void {
    this.#counter.addWaiter(this.#key, others)
    waiter.counted = true
    waiter.trace?.startWait()
    waiter.watch(waiter.policy.waitMs)
  }
}
