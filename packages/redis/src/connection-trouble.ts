// What goes wrong with the store's connections: remembered to explain failed operations, and told to people now and then.

import { publishTrouble } from '@dspinlock/core'
import { warnOnce } from '@dspinlock/core/support'
import { explainFailure, isForbidden, isOffline, messageOf, withRemedy } from './failures.js'
import { uselessWarning } from './messages.js'
import type { Outage } from './outage.js'

/** How often a failing connection is told of: a server that is away fails every attempt. */
const TELL_EVERY_MS = 1_000
/** For how long a failure of the connection explains others: longer than from one attempt to connect to the next. */
const EXPLAINS_MS = 5_000

export class ConnectionTrouble {
  readonly #outage: Outage
  readonly #commandTimeoutMs: number
  #toldAt = Number.NEGATIVE_INFINITY
  /** What a connection failed with last, and when. */
  #heard: { readonly error: unknown; readonly at: number } | undefined

  constructor(outage: Outage, commandTimeoutMs: number) {
    this.#outage = outage
    this.#commandTimeoutMs = commandTimeoutMs
  }

  /** A connection failed with `error`. */
  hear(error: unknown): void {
    const now = performance.now()
    // A server that says what a user may not do does answer: that is no outage, and explains no other failure.
    if (!isForbidden(error)) {
      if (!isOffline(error)) this.#heard = { error, at: now }
      this.#outage.onFailure()
    }
    if (now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    tellTrouble(withRemedy(error))
  }

  /** What a caller is told of an operation that failed with `cause`; undefined: there was no answer in time. */
  explain(cause: unknown): unknown {
    const heard = this.#heard
    const why = heard !== undefined && performance.now() - heard.at < EXPLAINS_MS ? heard.error : undefined
    return explainFailure(cause, why, this.#commandTimeoutMs)
  }
}

/** By a warning, too, the first time: where nobody listens to the channels, all else that is seen of it is failing requests. */
export function tellTrouble(error: unknown): void {
  warnOnce('DSPINLOCK_W_REDIS', uselessWarning(messageOf(error)))
  publishTrouble('redis', 'connect', error)
}
