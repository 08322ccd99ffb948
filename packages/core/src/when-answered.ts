// Handles answers that are there at once or come later, so that what follows them is written only once.

import type { MaybePromise } from './store.js'

/** Passes the answer of `ask` to `answered`, or its error to `failed`; without a promise if it is there at once. */
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
  return answer instanceof Promise ? answer.then(answered, failed) : answered(answer)
}
