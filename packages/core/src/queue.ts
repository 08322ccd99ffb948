// The callers that wait for one key in this process, in order of arrival.

import { refuseWhileBusy } from './answers.js'
import type { Entry } from './entry.js'
import { WaitTimeoutError } from './errors.js'
import { LinkedList } from './linked-list.js'
import { MAX_TIMER_MS } from './options.js'
import type { Waiter, WaiterOwner } from './waiter.js'

/** Counts the waiters of all keys of an engine. */
export interface WaiterCounter {
  /** Counts one more waiter beside `others` on the same key, or throws a WaiterLimitError. */
  addWaiter(key: string, others: number): void
  removeWaiter(): void
}

/** The cost of a turn must not grow with the number of waiters, so they are walked only when there may be an answer for some of them. */
export class Queue {
  readonly #key: string
  readonly #counter: WaiterCounter
  readonly #owner: WaiterOwner
  readonly #waiters = new LinkedList<Waiter>()
  /** How many have a policy that does not wait for a key that is busy. */
  #impatient = 0
  /** How many may still be answered without having to wait. */
  #unstarted = 0
  /** How many wait with each payload. The empty payload is left out, because it mismatches none. */
  #payloads: Map<string, number> | undefined
  /** One timer for all waiters, because a timer for each would take more memory than a waiter does. Set only while somebody waits. */
  #timer: NodeJS.Timeout | undefined
  /** When the timer rings: no later than the end of the wait that times out first. */
  #ringsAt = 0

  constructor(key: string, counter: WaiterCounter, owner: WaiterOwner) {
    this.#key = key
    this.#counter = counter
    this.#owner = owner
  }

  get size(): number {
    return this.#waiters.size
  }

  /** The waiter that came first; the claim is made with its options. */
  get head(): Waiter | undefined {
    return this.#waiters.first
  }

  /**
   * Unless it is clear by now that the waiter `hasToWait`, its time runs only once it is. Likewise the first of the key does not count
   * before. Throws a WaiterLimitError.
   */
  add(waiter: Waiter, hasToWait: boolean): void {
    if (hasToWait || this.size > 0) this.#count(waiter, this.size)
    if (hasToWait) this.#startWait(waiter)
    else this.#unstarted++
    this.#waiters.append(waiter)
    if (!waiter.policy.waits) this.#impatient++
    this.#countPayload(waiter.payload, 1)
  }

  remove(waiter: Waiter): void {
    if (!this.#waiters.remove(waiter)) return
    if (!waiter.policy.waits) this.#impatient--
    this.#countPayload(waiter.payload, -1)
    if (waiter.counted) this.#counter.removeWaiter()
    if (!waiter.started) this.#unstarted--
    // While anybody is left, the timer stays: ringing in vain now and then costs less than setting it anew for each waiter that is served.
    if (this.size === 0) {
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
  }

  /** Ends the wait after `ms`, or on its signal. When called again, the time that ends sooner counts. */
  watch(waiter: Waiter, ms: number): void {
    const now = performance.now()
    waiter.cameAt ||= now
    waiter.endsAt = Math.min(waiter.endsAt, now + ms)
    waiter.listen(this.#owner)
    if (this.#timer === undefined || waiter.endsAt < this.#ringsAt) this.#ringAt(waiter.endsAt)
  }

  /** Gives waiters the answers that `answerFor` returns, and removes them. */
  answer(answerFor: (waiter: Waiter) => Entry | undefined): void {
    this.#waiters.forEach(waiter => {
      const answer = answerFor(waiter)
      if (answer === undefined) return
      this.remove(waiter)
      waiter.answer(answer)
    })
  }

  rejectAll(reason: () => unknown): void {
    this.#waiters.forEach(waiter => this.reject(waiter, reason()))
  }

  reject(waiter: Waiter, reason: unknown): void {
    this.remove(waiter)
    waiter.reject(reason)
  }

  /** The key is in use with `payload`, and the lease lasts for another `leaseLeftMs`: waiters that may wait go on, the others are refused. */
  stay(payload: string, leaseLeftMs: number): void {
    if (this.#impatient > 0 || this.#hasOtherThan(payload)) {
      this.answer(waiter => refuseWhileBusy(waiter, payload, leaseLeftMs))
    }
    if (this.#unstarted === 0) return
    this.#waiters.forEach(waiter => {
      if (waiter.started) return
      try {
        if (!waiter.counted) this.#count(waiter, this.size - 1)
        this.#startWait(waiter)
        this.#unstarted--
      } catch (error) {
        this.reject(waiter, error)
      }
    })
  }

  #count(waiter: Waiter, others: number): void {
    this.#counter.addWaiter(this.#key, others)
    waiter.counted = true
  }

  #startWait(waiter: Waiter): void {
    waiter.started = true
    waiter.trace?.startWait()
    this.watch(waiter, waiter.policy.waitMs)
  }

  /** The timer keeps the process alive, because somebody awaits the wait's end, and it does end. */
  #ringAt(at: number): void {
    clearTimeout(this.#timer)
    this.#ringsAt = at
    this.#timer = setTimeout(() => this.#ring(), Math.min(Math.ceil(at - performance.now()), MAX_TIMER_MS))
  }

  /** Walks all waiters, because their times need not end in order of arrival. When one goes, others may get an answer, wherever they are. */
  #ring(): void {
    this.#timer = undefined
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    const due: Waiter[] = []
    this.#waiters.forEach(waiter => {
      if (waiter.endsAt > now) next = Math.min(next, waiter.endsAt)
      else due.push(waiter)
    })
    if (due.length < this.size) this.#ringAt(next)
    for (const waiter of due) {
      if (!waiter.isLinked) continue
      this.#owner.gone(waiter)
      waiter.reject(new WaitTimeoutError(this.#key, waiter.policy.waitMs))
    }
  }

  #countPayload(payload: string, change: number): void {
    if (payload === '') return
    this.#payloads ??= new Map()
    const count = (this.#payloads.get(payload) ?? 0) + change
    if (count === 0) this.#payloads.delete(payload)
    else this.#payloads.set(payload, count)
  }

  /** Whether the payload of any waiter mismatches `payload`. */
  #hasOtherThan(payload: string): boolean {
    const payloads = this.#payloads
    return payload !== '' && payloads !== undefined && payloads.size > (payloads.has(payload) ? 1 : 0)
  }
}
