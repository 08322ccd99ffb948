// Remembers what goes wrong with the store's connections, to explain failed operations, and reports it now and then.

import { publishTrouble } from '@dspinlock/core'
import { warnOnce } from '@dspinlock/core/support'
import { explainFailure, isForbidden, isOffline, messageOf, withoutArguments, withRemedy } from './failures.js'
import { uselessWarning } from './messages.js'
import type { Outage } from './outage.js'

/** How often a failing connection is reported at most, because every attempt fails while a server is away. */
const TELL_EVERY_MS = 1_000
/** For how long a failure of the connection explains failed operations: longer than the time between two attempts to connect. */
const EXPLAINS_MS = 5_000

export class ConnectionTrouble {
  readonly #outage: Outage
  readonly #commandTimeoutMs: number
  #toldAt = Number.NEGATIVE_INFINITY
  /** The last error of a connection, and when it came. */
  #heard: { readonly error: unknown; readonly at: number } | undefined

  constructor(outage: Outage, commandTimeoutMs: number) {
    this.#outage = outage
    this.#commandTimeoutMs = commandTimeoutMs
  }

  /** A connection failed with `error`. */
  hear(error: unknown): void {
    withoutArguments(error)
    const now = performance.now()
    // A server that refuses a permission does answer, so this is no outage, and explains no other failure.
    if (!isForbidden(error)) {
      if (!isOffline(error)) this.#heard = { error, at: now }
      this.#outage.onFailure()
    }
    if (now - this.#toldAt < TELL_EVERY_MS) return
    this.#toldAt = now
    tellTrouble(withRemedy(error))
  }

  /** What a caller is told about an operation that failed with `cause`; undefined: there was no answer in time. */
  explain(cause: unknown): unknown {
    const heard = this.#heard
    const why = heard !== undefined && performance.now() - heard.at < EXPLAINS_MS ? heard.error : undefined
    return explainFailure(withoutArguments(cause), why, this.#commandTimeoutMs)
  }
}

/** Reports trouble on the channel, and the first time also by a warning. */
export function tellTrouble(error: unknown): void {
  warnUseless(error)
  publishTrouble('redis', 'connect', error)
}

/** Warns once in a process: if nobody listens to the channels, a user would only see failing requests. */
export function warnUseless(error: unknown): void {
  warnOnce('DSPINLOCK_W_REDIS', uselessWarning(messageOf(error)))
}
