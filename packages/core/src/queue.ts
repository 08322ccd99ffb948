// The callers that wait for one key in this process, in order of arrival.

import { refuseWhileBusy } from './answers.js'
import type { Entry } from './entry.js'
import { LinkedList } from './linked-list.js'
import type { Waiter } from './waiter.js'

/** Counts the waiters of all keys of an engine. */
export interface WaiterCounter {
  /** Counts one more waiter beside `others` on the same key, or throws a WaiterLimitError. */
  addWaiter(key: string, others: number): void
  removeWaiter(): void
}

/**
 * What a turn costs must not grow with those who wait: they are walked only when some of them may have an answer.
 */
export class Queue {
  readonly #key: string
  readonly #counter: WaiterCounter
  readonly #waiters = new LinkedList<Waiter>()
  /** Those whose policy does not wait for a key that is busy. */
  #impatient = 0
  /** Those that do not count towards the limits yet. */
  #uncounted = 0
  /** How many wait with each payload; without the empty one, which goes with all. */
  #payloads: Map<string, number> | undefined

  constructor(key: string, counter: WaiterCounter) {
    this.#key = key
    this.#counter = counter
  }

  get size(): number {
    return this.#waiters.size
  }

  /** Who came first; its wishes make the claim. */
  get head(): Waiter | undefined {
    return this.#waiters.first
  }

  /** Whether any of them would wait for a key that is busy. */
  get hasPatient(): boolean {
    return this.size > this.#impatient
  }

  has(waiter: Waiter): boolean {
    return waiter.isLinked
  }

  /** `mayBeServedAtOnce`: it counts, and its time runs, only from the moment at which it has to wait. Throws a WaiterLimitError. */
  add(waiter: Waiter, mayBeServedAtOnce: boolean): void {
    if (!mayBeServedAtOnce) this.#startWait(waiter, this.size)
    else this.#uncounted++
    this.#waiters.append(waiter)
    if (!waiter.policy.waits) this.#impatient++
    this.#countPayload(waiter.payload, 1)
  }

  remove(waiter: Waiter): void {
    if (!this.#waiters.remove(waiter)) return
    if (!waiter.policy.waits) this.#impatient--
    this.#countPayload(waiter.payload, -1)
    if (waiter.counted) this.#counter.removeWaiter()
    else this.#uncounted--
  }

  /** Those for whom there is an answer get it, and wait no longer. */
  answer(answerFor: (waiter: Waiter) => Entry | undefined): void {
    this.#waiters.forEach(waiter => {
      const answer = answerFor(waiter)
      if (answer === undefined) return
      this.remove(waiter)
      waiter.answer(answer)
    })
  }

  rejectAll(reason: () => unknown): void {
    this.#waiters.forEach(waiter => {
      this.remove(waiter)
      waiter.reject(reason())
    })
  }

  /** The key is in use with `payload`, for another `leaseLeftMs` at least: those who may not wait for that are refused. */
  refuseWhileBusy(payload: string, leaseLeftMs: number): void {
    if (this.#impatient === 0 && !this.#hasOtherThan(payload)) return
    this.answer(waiter => refuseWhileBusy(waiter, payload, leaseLeftMs))
  }

  /** Somebody else has the key, for another `leaseLeftMs` at least: who may wait goes on, and the others are refused. */
  stay(leaseLeftMs: number): void {
    const first = this.head
    if (first === undefined) return
    this.refuseWhileBusy(first.payload, leaseLeftMs)
    if (this.#uncounted === 0) return
    this.#waiters.forEach(waiter => {
      if (waiter.counted) return
      try {
        this.#startWait(waiter, this.size - 1)
        this.#uncounted--
      } catch (error) {
        this.remove(waiter)
        waiter.reject(error)
      }
    })
  }

  #startWait(waiter: Waiter, others: number): void {
    this.#counter.addWaiter(this.#key, others)
    waiter.counted = true
    waiter.trace?.startWait()
    waiter.watch(waiter.policy.waitMs)
  }

  #countPayload(payload: string, change: number): void {
    if (payload === '') return
    this.#payloads ??= new Map()
    const count = (this.#payloads.get(payload) ?? 0) + change
    if (count === 0) this.#payloads.delete(payload)
    else this.#payloads.set(payload, count)
  }

  /** Whether any of them mismatches `payload`. */
  #hasOtherThan(payload: string): boolean {
    const payloads = this.#payloads
    return payload !== '' && payloads !== undefined && payloads.size > (payloads.has(payload) ? 1 : 0)
  }
}
