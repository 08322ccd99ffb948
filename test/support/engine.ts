// What tests of the engine share.

import { type Entry, type Hold, memoryStore, type Store } from '@dspinlock/core'

/** Returns the error of a promise that has to reject, or fails the test. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('it should have been rejected')
}

export function holdOf(entry: Entry): Hold {
  if (entry.role !== 'holder') throw new Error(`expected to hold, but was ${entry.role}`)
  return entry.hold
}

/** A store with some operations replaced. */
export function storeWith(changes: Partial<Store>, store: Store = memoryStore()): Store {
  return new Proxy(store, {
    get(target, name) {
      if (Object.hasOwn(changes, name)) return Reflect.get(changes, name) as unknown
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
