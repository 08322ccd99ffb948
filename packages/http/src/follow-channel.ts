// Following operations over a tracing channel, from their start to their end, until told to stop.

import type { TraceChannel } from '@dspinlock/core/support'

/**
 * Calls `start` for what begins, and `end` for each of those with what `start` gave. Once the function that is returned was called, nothing
 * that begins is told of; what has begun is until it has ended, for otherwise what was counted up would never be counted down.
 * What either throws is ignored.
 */
export function followChannel<T extends object, S>(
  channel: TraceChannel<T>,
  on: { readonly start: (message: T) => S; readonly end: (message: T, begun: S) => unknown },
): () => void {
  const open = new WeakMap<T, S>()
  let count = 0
  let stopped = false
  const onStart = quietly((message: T) => {
    open.set(message, on.start(message))
    count++
  })
  const onEnd = quietly((message: T) => {
    if (!open.has(message)) return
    const begun = open.get(message) as S
    open.delete(message)
    count--
    if (stopped && count === 0) channel.asyncEnd.unsubscribe(onEnd)
    on.end(message, begun)
  })
  channel.start.subscribe(onStart)
  channel.asyncEnd.subscribe(onEnd)
  return () => {
    stopped = true
    channel.start.unsubscribe(onStart)
    if (count === 0) channel.asyncEnd.unsubscribe(onEnd)
  }
}

/** A diagnostics channel would rethrow what a listener throws as an uncaught exception, and numbers must not end a process. */
export function quietly<T>(listener: (message: T) => void): (message: unknown) => void {
  return message => {
    try {
      listener(message as T)
    } catch {
      // See above.
    }
  }
}
