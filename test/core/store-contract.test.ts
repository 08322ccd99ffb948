// The memory store keeps the store contract.

import { memoryStore, type Store } from '@dspinlock/core'
import { storeContract } from '@dspinlock/core/store-contract'

/** In memory, "another process on the same data" is the same store in another wrapper. */
function shareMemory(): () => Store {
  const shared = memoryStore()
  return () => {
    let closed = false
    const lid: Store = Object.create(shared) as Store
    const bound = new Proxy(lid, {
      get(_target, name) {
        if (name === 'closed') return closed
        if (name === 'close') return () => (closed = true)
        const value: unknown = Reflect.get(shared, name, shared)
        if (typeof value !== 'function') return value
        if (!closed) return value.bind(shared) as unknown
        const gone = memoryStore()
        void gone.close()
        return (Reflect.get(gone, name, gone) as (...args: unknown[]) => unknown).bind(gone)
      },
    })
    return bound
  }
}

describe('store contract: memory', () => {
  const makeStore = shareMemory()
  for (const one of storeContract) it(one.name, () => one.run({ makeStore }))
})
