// The memory store keeps the store contract.

import { LockEngine, memoryStore, type Store } from '@dspinlock/core'
import { storeContract } from '@dspinlock/core/store-contract'
import { expect } from 'chai'
import { failure } from '../support/failure.js'

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

  it('a store that never says that its messages arrive is told what is missing', async function () {
    this.timeout(10_000)
    const [first] = storeContract
    // All that a synchronous store does, which says nothing when it is opened.
    const silent = (): Store =>
      new Proxy(makeStore(), {
        get: (store, name) => (name === 'synchronous' ? false : (Reflect.get(store, name, store) as unknown)),
      })
    const error = await failure(first?.run({ makeStore: silent }) ?? Promise.resolve())
    expect(error.message).to.match(/no resync, which a store that is not synchronous sends/)
  })

  it('remembers how a thousand others ended, and more', () => {
    const store = memoryStore()
    const { id } = store.open(() => {})
    const leave = (from: number, to: number): void => {
      for (let n = from; n < to; n++) void store.leave('other', `${id}.${n}`)
    }
    leave(1, 1_000)
    const claim = { key: 'k', token: `${id}.1000`, leaseMs: 10_000, wait: false, takeRecord: false, payload: '' }
    void store.claim({ ...claim, arrival: 0 })
    const release = (): unknown => store.release({ key: 'k', token: claim.token, passMs: 0, maxLocalTurns: 0 })
    expect(release()).to.deep.equal({ mine: true })
    leave(1_001, 2_000)
    expect(release()).to.deep.equal({ mine: true })
  })

  it('calls nobody back from within its own call', async () => {
    const store = memoryStore()
    let isTold = false
    const { id } = store.open(() => {
      isTold = true
    })
    const claim = { key: 'k', leaseMs: 10_000, wait: true, takeRecord: false, payload: '', arrival: 0 }
    for (const n of [1, 2]) void store.claim({ ...claim, token: `${id}.${n}` })
    void store.release({ key: 'k', token: `${id}.1`, passMs: 0, maxLocalTurns: 0 })
    expect(isTold).to.equal(false)
    await Promise.resolve()
    expect(isTold).to.equal(true)
  })

  it('drops by itself a mark that has run out', async () => {
    const store = memoryStore()
    const hold = { key: 'k', token: 'one.1' }
    void store.claim({ ...hold, leaseMs: 10_000, wait: false, takeRecord: false, payload: '', arrival: 0 })
    void store.release({ ...hold, passMs: 10, maxLocalTurns: 0 })
    while ((await store.inspect('k')) !== undefined) await new Promise(resolve => setTimeout(resolve, 100))
  })

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
