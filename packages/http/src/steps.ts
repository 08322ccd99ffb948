// Work that pauses only where it has to: until a promise stands in its way, it runs on in the turn that it began in.

import type { MaybePromise } from '@dspinlock/core'

/** A function of steps: what it yields is awaited, and everything else happens at once. */
export type Steps<T> = Generator<PromiseLike<unknown>, MaybePromise<T>, unknown>

/** `yield* wait(value)` is `await value` that does not wait for what is there already. */
export function* wait<T>(value: T | PromiseLike<T>): Generator<PromiseLike<unknown>, T, unknown> {
  return isPromise(value) ? ((yield value) as T) : value
}

/** Throws, or rejects, with what the steps throw. */
export function runSteps<T>(
  steps: Steps<T>,
  step: () => IteratorResult<PromiseLike<unknown>, MaybePromise<T>> = () => steps.next(),
): MaybePromise<T> {
  const { done, value } = step()
  // What a user's function returned may be anybody's promise.
  if (done === true) return isPromise(value) ? Promise.resolve(value) : value
  return Promise.resolve(value).then(
    awaited => inTick(() => runSteps(steps, () => steps.next(awaited))),
    (error: unknown) => inTick(() => runSteps(steps, () => steps.throw(error))),
  )
}

/** What runs after a wait is to see ticks before microtasks, as whatever a server calls does. */
export function inTick<T>(goOn: () => MaybePromise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    process.nextTick(() => {
      try {
        resolve(goOn())
      } catch (error) {
        reject(error as Error)
      }
    })
  })
}

export function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
