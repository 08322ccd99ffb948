// Handles answers that are there at once or come later, so that what follows them is written only once.

import type { MaybePromise } from './store.js'

/**
 * Whether a value is a promise, of whatever implementation: where a program replaces the global Promise, as zone.js does, what an async
 * function returns is no instance of it.
 */
export function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as Partial<PromiseLike<T>> | null | undefined)?.then === 'function'
}

/** Passes the answer of `ask` to `answered`, or its error to `failed`, also if `ask` throws; without a promise if it is there at once. */
export function whenAnswered<T, R>(
  ask: () => MaybePromise<T>,
  answered: (answer: T) => R,
  failed: (error: unknown) => R,
): MaybePromise<R> {
  let answer: MaybePromise<T>
  try {
    answer = ask()
  } catch (error) {
    return failed(error)
  }
  return isPromise(answer) ? Promise.resolve(answer).then(answered, failed) : answered(answer)
}
