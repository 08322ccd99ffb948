// While a lock waits: finds out whether the hold that blocks it has lasted for too long, and takes the key from that very hold.

import type { LockEngine } from '../engine.js'
import { publishTrouble } from '../events.js'
import type { Blocked } from './states.js'

export interface TakeoverRules {
  readonly key: string
  /** The time between two looks, in milliseconds; the first comes after half of it. */
  readonly everyMs: number
  readonly isExhausted: (blocked: Blocked) => boolean
}

/**
 * Asks the store once, and from then on counts the time itself: the store is asked again only when the block should have lasted too
 * long. The store then drops that hold, and nothing if another one has begun meanwhile. Returns a function that ends the watch.
 */
export function watchForTakeover(engine: LockEngine, { key, everyMs, isExhausted }: TakeoverRules): () => void {
  let seen: { readonly blocked: Blocked; readonly at: number } | undefined
  let ended = false
  let timer: NodeJS.Timeout

  const look = async (): Promise<void> => {
    if (seen !== undefined) {
      const heldMs = seen.blocked.heldMs + (performance.now() - seen.at)
      if (!isExhausted({ ...seen.blocked, heldMs })) return
    }
    const state = await engine.inspect(key)
    if (ended || state?.state !== 'held') {
      seen = undefined
      return
    }
    const { fence, heldMs } = state
    seen = { blocked: { key, fence, heldMs }, at: performance.now() }
    if (isExhausted(seen.blocked)) await engine.forget(key, fence)
  }
  const next = (ms: number): void => {
    timer = setTimeout(() => {
      look()
        .catch((error: unknown) => publishTrouble('spinlock', 'takeover', error, key))
        .finally(() => {
          if (!ended) next(everyMs)
        })
    }, ms)
    // The wait itself keeps the process alive, so this timer need not.
    timer.unref()
  }
  next(everyMs / 2)
  return () => {
    ended = true
    clearTimeout(timer)
  }
}
