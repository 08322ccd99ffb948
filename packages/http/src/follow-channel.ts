// Follows operations on a tracing channel from their start to their end, until told to stop.

import type { TraceChannel } from '@dspinlock/core/support'

/**
 * Calls `start` when an operation begins, and `end` when it ends, with the value that `start` returned. Once the returned function was
 * called, new operations are ignored, but those that have begun are followed to their end: otherwise a count that went up would never come
 * down. Errors thrown by either function are ignored.
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

/** A diagnostics channel rethrows a listener's error as an uncaught exception, and an error in measuring must not end the process. */
export function quietly<T>(listener: (message: T) => void): (message: unknown) => void {
  return message => {
    try {
      listener(message as T)
    } catch {
      // See above.
    }
  }
}
