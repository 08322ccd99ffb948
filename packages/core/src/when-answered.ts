// Answers that are there at once or come later: what follows them is written once.

import type { MaybePromise } from './store.js'

/** Gives what `ask` answers to `answered`, or what it fails with to `failed`: without a promise if that is there at once. */
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
