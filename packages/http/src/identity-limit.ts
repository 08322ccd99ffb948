// How many requests one identity may have under way in this process, so that nobody can hold all locks or waiting places.

import { createHash } from 'node:crypto'
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

  /** Counts one more, and returns what takes it back once; undefined if there are too many. */
  enter(identity: Identity): (() => void) | undefined {
    const id = digest(identity)
    const count = this.#counts.get(id) ?? 0
    if (count >= this.#max) return undefined
    this.#counts.set(id, count + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      const rest = (this.#counts.get(id) ?? 1) - 1
      if (rest === 0) this.#counts.delete(id)
      else this.#counts.set(id, rest)
    }
  }
}

/** The same hold, which counts until it has ended: a client that leaves does not end what it began. */
export function whileHeld(hold: Hold, leave: () => void): Hold & { readonly trace: HoldTrace | undefined } {
  hold.signal.addEventListener('abort', leave, { once: true })
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
    [Symbol.asyncDispose]: () => {
      leave()
      return hold[Symbol.asyncDispose]()
    },
  }
}

/** Requests that nobody in particular sent count as one identity's. */
function digest(identity: Identity): string {
  const hash = createHash('sha256')
  if (identity.kind === 'custom') hash.update(identity.id ?? '')
  if (identity.kind === 'headers') hash.update(JSON.stringify(identity.credentials))
  return `${identity.kind} ${hash.digest('base64')}`
}
