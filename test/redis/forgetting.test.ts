// forget reaches every process: the holder stops, and all waiters look again.

import { randomUUID } from 'node:crypto'
import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'
import { redisUrl } from '../support/redis.js'
import { untilSo } from '../support/redis-admin.js'

describe('forgetting a key', () => {
  let stores: Store[]
  let engines: LockEngine[]

  beforeEach(() => {
    const prefix = `forget-${randomUUID()}`
    stores = Array.from({ length: 4 }, () => redisStore(redisUrl(), { prefix }))
    // Polling is off, so only messages can tell.
    engines = stores.map(store => new LockEngine({ store, pollMs: 60_000 }))
  })
  afterEach(async () => {
    await Promise.all(engines.map(engine => engine.close({ timeoutMs: 0 })))
    for (const store of stores) await store.close()
  })
  const engine = (n: number): LockEngine => engines[n] as LockEngine
  const store = (n: number): Store => stores[n] as Store

  it('aborts the holder in another process, and the waiters of the others go on', async () => {
    const holder = holdOf(await engine(0).enter('k', { leaseMs: 60_000 }))
    const waiting = [1, 2].map(n => engine(n).enter('k', { leaseMs: 60_000 }).then(holdOf))
    await untilSo('both wait', async () => (await store(3).inspect('k'))?.waiters === 2)
    const aborted = new Promise(resolve => holder.signal.addEventListener('abort', resolve))
    expect(await store(3).forget('k')).to.equal(true)
    await aborted
    expect((holder.signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
    expect(await holder.settle(new Uint8Array(1))).to.equal(false)
    const first = await Promise.race(waiting)
    expect(first.fence).to.be.above(holder.fence)
    await first.release()
    const fences = (await Promise.all(waiting)).map(({ fence }) => fence)
    expect(new Set(fences).size).to.equal(2)
    await Promise.all((await Promise.all(waiting)).map(async hold => hold.release()))
  })

  it('drops a record, and the next duplicate in any process runs again', async () => {
    const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
    expect(await engine(0).run('k', () => 'first', replay)).to.equal('first')
    expect(await engine(1).run('k', () => 'never', replay)).to.equal('first')
    expect(await store(2).forget('k')).to.equal(true)
    expect(await engine(1).run('k', () => 'second', replay)).to.equal('second')
    expect(await engine(0).run('k', () => 'never', replay)).to.equal('second')
  })
})
