// One operation on one key: sent with others, and sent again after failures that pass, until its time is over (a settle: for longer).

import type { Row } from './batch.js'
import type { Deadlines, Expiring } from './deadlines.js'
import { cannotSave, isMigrating, isPassing, RETRY_MS } from './failures.js'
import type { Outage } from './outage.js'
import { withMs } from './scripts/index.js'

/** For how long a settle is tried after its caller was told: as long as Redis keeps a hold that ran out (docs/decisions/004). */
const LATE_SETTLE_MS = 60_000

/** What operations need of their store. */
export interface OperationHost {
  readonly deadlines: Deadlines
  readonly outage: Outage
  /** Sends the row once, and tells it of the reply or the failure. */
  send(row: Row): void
  /** Why nothing can be sent; undefined if it can. */
  findObstacle(what: string, key: string): Error | undefined
  /** The error that tells the caller of a failure; `cause` is undefined if there was no answer in time. */
  describe(what: string, key: string | undefined, cause: unknown): Error
}

/**
 * `read` turns the reply into the answer, and may throw. Written with callbacks, because each `await` on this path would be
 * one more turn of the microtask queue for every operation.
 */
export class Operation<T> implements Row, Expiring {
  readonly promise: Promise<T>
  readonly name: Row['name']
  readonly state: string
  given: string
  readonly record: Buffer | undefined
  endsAt = 0
  isLinked = false
  previous: Expiring | undefined
  next: Expiring | undefined
  readonly #host: OperationHost
  readonly #key: string
  readonly #read: (reply: unknown) => T
  #resolve!: (answer: T) => void
  #reject!: (reason: unknown) => void
  #pauseMs: number = RETRY_MS[0]
  /** The caller was told the result; an answer that comes later is ignored. */
  #over = false
  /** The operation was answered, or will not be tried again. */
  #done = false

  constructor(
    host: OperationHost,
    name: Row['name'],
    key: string,
    state: string,
    given: string,
    record: Buffer | undefined,
    read: (reply: unknown) => T,
  ) {
    this.#host = host
    this.name = name
    this.#key = key
    this.state = state
    this.given = given
    this.record = record
    this.#read = read
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    host.deadlines.add(this)
    this.#try()
  }

  onReply(reply: unknown): void {
    this.#host.outage.onAnswer()
    this.#done = true
    if (!this.#end()) return
    try {
      this.#resolve(this.#read(reply))
    } catch (error) {
      this.#reject(error)
    }
  }

  onFailure(error: unknown): void {
    const { outage } = this.#host
    const passes = isPassing(error)
    if (passes && !isMigrating(error)) outage.onFailure()
    else outage.onAnswer()
    if (this.#done) return
    // A claim may give up, because nothing has begun under it. An operation that keeps or ends a hold has to get through if it can.
    const isHopeless = outage.lasts && this.name === 'claim'
    const isFinal = this.#host.findObstacle(this.#what, this.#key) !== undefined || !passes || isHopeless
    const nextAt = performance.now() + this.#pauseMs
    if (isFinal || nextAt >= this.endsAt) this.#fail(error)
    if (this.#done || (isFinal && !cannotSave(error)) || nextAt >= this.endsAt + LATE_SETTLE_MS) return
    const timer = setTimeout(() => {
      if (this.#done) return
      // Callers that came since the work was done have not waited for its record, and the record's time to live has begun.
      if (this.name === 'settle') this.given = withMs(this.given, Math.floor(this.#host.deadlines.sinceStart(this)))
      this.#try()
    }, this.#pauseMs)
    // Nobody waits for it any more.
    if (this.#over) timer.unref()
    this.#pauseMs = Math.min(this.#pauseMs * 2, RETRY_MS[1])
  }

  /** Called when the operation's time is over. */
  expire(): void {
    this.#fail(undefined)
  }

  /** The name of the operation in errors, where handing the key on is a release. */
  get #what(): string {
    return this.name === 'handOn' ? 'release' : this.name
  }

  #try(): void {
    const obstacle = this.#host.findObstacle(this.#what, this.#key)
    if (obstacle === undefined) this.#host.send(this)
    else if (this.#end()) this.#reject(obstacle)
  }

  #fail(cause: unknown): void {
    if (this.#end()) this.#reject(this.#host.describe(this.#what, this.#key, cause))
  }

  /** Ends the operation; false if it has ended before. */
  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    // A claim that nobody waits for must not be carried out. But work that is done would be done again for want of its record, so a settle goes on.
    if (this.name !== 'settle') this.#done = true
    this.#host.deadlines.remove(this)
    return true
  }
}
