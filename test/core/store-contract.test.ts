// The memory store keeps the store contract.

import { LockEngine, memoryStore, type Store } from '@dspinlock/core'
import { storeContract } from '@dspinlock/core/store-contract'
import { expect } from 'chai'

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

  it('fences grow also from one store to the next, as when a process starts again', async () => {
    const fenceOf = async (): Promise<number> => {
      const entry = await new LockEngine({ store: memoryStore() }).enter('k')
      return entry.role === 'holder' ? entry.hold.fence : 0
    }
    const first = await fenceOf()
    await new Promise(resolve => setTimeout(resolve, 5))
    expect(await fenceOf()).to.be.above(first)
  })
})
