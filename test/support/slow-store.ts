// A store in this process that answers as a remote one does, and settles when it is told to.

import { memoryStore, type Store } from '@dspinlock/core'
import { Gate } from './http.js'

export interface SlowStore {
  readonly store: Store
  /** How many holds are waiting to end. */
  ends(): number
  /** Lets them end. */
  open(): void
  /** Makes the next ones wait again. */
  shut(): void
}

export function slowStore(): SlowStore {
  const inner = memoryStore()
  let gate = new Gate()
  let ends = 0
  const store = new Proxy<Store>(inner, {
    get: (target, name) => {
      if (name === 'synchronous') return false
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      const method = value.bind(target) as (...args: unknown[]) => unknown
      if (name !== 'settle' && name !== 'release') return method
      return async (...args: unknown[]) => {
        ends++
        await gate.opened
        return method(...args)
      }
    },
  })
  return {
    store,
    ends: () => ends,
    open: () => gate.open(),
    shut: () => {
      gate = new Gate()
    },
  }
}
