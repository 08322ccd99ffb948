// Work that pauses only where it has to: until it needs a promise's value, it runs on in the turn in which it began.

import type { MaybePromise } from '@dspinlock/core'
import { isPromise } from '@dspinlock/core/support'

/** A function of steps: what it yields is awaited, and everything else happens at once. */
export type Steps<T> = Generator<PromiseLike<unknown>, MaybePromise<T>, unknown>

/** `yield* wait(value)` is like `await value`, but does not wait if the value is no promise. */
export function* wait<T>(value: T | PromiseLike<T>): Generator<PromiseLike<unknown>, T, unknown> {
  return isPromise(value) ? ((yield value) as T) : value
}

/** Throws, or rejects, with what the steps throw. */
export function runSteps<T>(
  steps: Steps<T>,
  step: () => IteratorResult<PromiseLike<unknown>, MaybePromise<T>> = () => steps.next(),
): MaybePromise<T> {
  const { done, value } = step()
  // A user's function may have returned a promise of another implementation.
  if (done === true) return isPromise(value) ? Promise.resolve(value) : value
  return Promise.resolve(value).then(
    awaited => inTick(() => runSteps(steps, () => steps.next(awaited))),
    (error: unknown) => inTick(() => runSteps(steps, () => steps.throw(error))),
  )
}

/**
 * Runs code after a wait in a tick of its own, so that ticks come before microtasks for it, as for code that a server calls; with `setImmediate`
 * once the event loop has read what there is to read (docs/decisions/088).
 */
export function inTick<T>(
  goOn: () => MaybePromise<T>,
  schedule: (run: () => void) => unknown = run => process.nextTick(run),
): Promise<T> {
  return new Promise((resolve, reject) => {
    schedule(() => {
      try {
        resolve(goOn())
      } catch (error) {
        reject(error as Error)
      }
    })
  })
}
