// Middlewares with one store have one engine, so that duplicates meet within a process whichever of them they reach; who closes what.

import { LockEngine } from '@dspinlock/core'
import { dspinlock, memoryStore } from '@dspinlock/express'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'

describe('engines of middlewares', () => {
  it('are one for one store, which closes with the last middleware, however often one of them is closed', async () => {
    const store = memoryStore()
    const [one, two] = [dspinlock({ store }), dspinlock({ store, duplicates: 'reject' })]
    expect(one.engine).to.equal(two.engine)
    expect(dspinlock({ store: memoryStore() }).engine).to.not.equal(one.engine)
    for (let n = 0; n < 2; n++) await one.close()
    expect(two.engine.closed).to.equal(false)
    await two.close()
    expect(two.engine.closed).to.equal(true)
    const later = dspinlock({ store })
    expect(later.engine.closed).to.equal(false)
    await holdOf(await later.engine.enter('k')).release()
    await later.close()
  })

  it('are their own with limits of their own, on the store that was given, which stays open', async () => {
    const store = memoryStore()
    const shared = dspinlock({ store })
    for (const limits of [{ maxWaiters: 1 }, { maxWaitersPerKey: 1 }]) {
      const limited = dspinlock({ store, ...limits })
      expect(limited.engine).to.not.equal(shared.engine)
      const hold = holdOf(await limited.engine.enter('k'))
      expect(await shared.engine.inspect('k')).to.include({ state: 'held' })
      await hold.release()
      await limited.close()
      await holdOf(await shared.engine.enter('k')).release()
    }
    await shared.close()
  })

  it('that were given are never closed', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const lock = dspinlock({ engine })
    expect(lock.engine).to.equal(engine)
    await lock.close()
    expect(engine.closed).to.equal(false)
  })
})
