// Work that pauses only where it has to: until a promise stands in its way, it runs on in the turn that it began in.

import type { MaybePromise } from '@dspinlock/core'

/** A function of steps: what it yields is awaited, and everything else happens at once. */
export type Steps<T> = Generator<PromiseLike<unknown>, T, unknown>

/** `yield* wait(value)` is `await value` that does not wait for what is there already. */
export function* wait<T>(value: T | PromiseLike<T>): Steps<T> {
  return isPromise(value) ? ((yield value) as T) : value
}

/** Throws, or rejects, with what the steps throw. */
export function runSteps<T>(steps: Steps<T>): MaybePromise<T> {
  const first = steps.next()
  if (first.done === true) return first.value
  return new Promise((resolve, reject) => {
    const follow = (awaited: PromiseLike<unknown>): void => {
      awaited.then(
        value => process.nextTick(goOn, () => steps.next(value)),
        (error: unknown) => process.nextTick(goOn, () => steps.throw(error)),
      )
    }
    // In a tick of its own: what runs from here on sees ticks before microtasks, as whatever a server calls does.
    const goOn = (step: () => IteratorResult<PromiseLike<unknown>, T>): void => {
      try {
        const next = step()
        if (next.done === true) resolve(next.value)
        else follow(next.value)
      } catch (error) {
        reject(error as Error)
      }
    }
    follow(first.value)
  })
}

export function isPromise<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}
