// How many requests one identity may have under way in this process, so that nobody can hold all locks or waiting places.

import { hash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Hold, HoldTrace } from '@dspinlock/core'
import { traceOf } from '@dspinlock/core/support'
import type { Identity } from './fingerprint.js'

export class IdentityLimit {
  readonly #max: number
  /** Requests under way by digest of their identity; none is 0. */
  readonly #counts = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  /** Counts one more until nobody receives `res` any more, and returns what takes it back before; undefined if there are too many. */
  enter(identity: Identity, res: ServerResponse): (() => void) | undefined {
    const id = digest(identity)
    const count = this.#counts.get(id) ?? 0
    if (count >= this.#max) return undefined
    this.#counts.set(id, count + 1)
    let left = false
    const leave = (): void => {
      if (left) return
      left = true
      stayOn(res, leave)
      const rest = (this.#counts.get(id) ?? 1) - 1
      if (rest === 0) this.#counts.delete(id)
      else this.#counts.set(id, rest)
    }
    res.once('close', leave)
    // One that stands behind others of its connection is never closed if that is.
    if (res.socket === null) res.req.socket.once('close', leave)
    return leave
  }
}

/** From now on it counts whether its client is there or not. */
export function stayOn(res: ServerResponse, leave: () => void): void {
  for (const one of [res, res.req.socket]) one.removeListener('close', leave)
}

/** One that whoever has it ends by `settle` or `release`. */
export type RequestHold = Omit<Hold, typeof Symbol.asyncDispose>

/** The same hold, which counts until it has ended: a client that leaves does not end what it began. */
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

/** Requests that nobody in particular sent count as one identity's. */
function digest(identity: Identity): string {
  return hash('sha256', JSON.stringify(identity), 'base64url')
}
