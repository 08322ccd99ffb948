// Limits how many requests of one middleware one identity may have under way in this process, so that nobody can hold all its locks or waiting places.

import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Hold, HoldTrace } from '@dspinlock/core'
import { traceOf } from '@dspinlock/core/support'
import type { Identity } from './fingerprint.js'
import { offClose, onClose } from './gone.js'

export class IdentityLimit {
  readonly #max: number
  /** For each identity, by its digest: one function for each of its requests, which ends the counting of that request. No set is empty. */
  readonly #underWay = new Map<string, Set<() => void>>()

  constructor(max: number) {
    this.#max = max
  }

  /** Counts one more request until the client of `res` is gone, and returns a function that ends the counting earlier; undefined if there are too many. */
  enter(identity: Identity, res: ServerResponse): (() => void) | undefined {
    // All requests of nobody in particular count as those of one identity.
    const id = hash('sha256', JSON.stringify(identity), 'base64url')
    const underWay = this.#underWay.get(id) ?? new Set()
    if (underWay.size >= this.#max) return undefined
    const leave = (): void => {
      offClose(res, leave)
      if (underWay.delete(leave) && underWay.size === 0) this.#underWay.delete(id)
    }
    this.#underWay.set(id, underWay.add(leave))
    onClose(res, leave)
    return leave
  }
}

/** A hold that its owner ends by `settle` or `release`, not by disposal. */
export type RequestHold = Omit<Hold, typeof Symbol.asyncDispose>

/** The same hold, whose request counts until the hold has ended, because a client that leaves does not end the work that it began. */
export function whileHeld(
  hold: RequestHold,
  leave: () => void,
): RequestHold & { readonly trace: HoldTrace | undefined } {
  hold.signal.addEventListener('abort', leave)
  return {
    key: hold.key,
    get trace() {
      return traceOf(hold)
    },
    fence: hold.fence,
    get signal() {
      return hold.signal
    },
    settle: record => {
      leave()
      return hold.settle(record)
    },
    release: options => {
      leave()
      return hold.release(options)
    },
  }
}
