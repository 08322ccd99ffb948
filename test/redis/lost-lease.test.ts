// A holder whose Redis cannot be reached knows by its own clock when its lease is over, and what it does later changes nothing.

import { channels, LockEngine, type LostEvent, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { FaultProxy } from '../support/fault-proxy.js'

const leaseMs = 600

describe('a lease that cannot be renewed', () => {
  let redis: RedisServer
  let proxy: FaultProxy
  let stores: Store[]
  let engine: LockEngine
  let elsewhere: LockEngine
  let lost: LostEvent[]
  const note = (event: unknown): void => void lost.push(event as LostEvent)

  beforeEach(async () => {
    redis = await startRedisServer()
    proxy = await FaultProxy.open(redis.port)
    stores = [redisStore(proxy.url), redisStore(redis.url)]
    ;[engine, elsewhere] = stores.map(store => new LockEngine({ store })) as [LockEngine, LockEngine]
    lost = []
    channels.lost.subscribe(note)
  })
  afterEach(async () => {
    channels.lost.unsubscribe(note)
    proxy.heal()
    await Promise.all([engine, elsewhere].map(one => one.close({ timeoutMs: 0 })))
    for (const store of stores) await store.close()
    await proxy.close()
    await redis.stop()
  })

  for (const [what, breakIt] of [
    ['nothing comes through', () => proxy.blackHole()],
    ['connections are refused', () => proxy.refuse()],
  ] as const) {
    it(`${what}: the signal aborts before another can hold the key, and a late settle answers false`, async () => {
      const hold = holdOf(await engine.enter('k', { leaseMs, duplicates: 'replay', ttlMs: 60_000 }))
      const startedAt = performance.now()
      breakIt()
      let hasNext = false
      const next = elsewhere.enter('k', { leaseMs }).finally(() => {
        hasNext = true
      })
      await new Promise(resolve => hold.signal.addEventListener('abort', resolve))
      const abortedAfterMs = performance.now() - startedAt
      expect((hold.signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
      expect(hasNext, 'another holds the key').to.equal(false)
      expect(abortedAfterMs).to.be.above(leaseMs / 2)
      const second = holdOf(await next)
      expect(second.fence).to.be.above(hold.fence)
      proxy.heal()
      expect(await hold.settle(Buffer.from('stale'))).to.equal(false)
      expect(await hold.release()).to.equal(false)
      expect(lost.map(({ fence }) => fence)).to.deep.equal([hold.fence])
      expect(await second.release()).to.equal(true)
      expect((await elsewhere.inspect('k'))?.state).to.not.equal('settled')
    })
  }

  it('a Redis that is gone for good: the signal aborts, and ending the hold is an error that says so', async () => {
    const hold = holdOf(await engine.enter('k', { leaseMs }))
    const aborted = new Promise(resolve => hold.signal.addEventListener('abort', resolve))
    await redis.kill()
    await aborted
    const error = await failure(Promise.resolve(hold.release()))
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE')
    expect(lost).to.have.length(1)
  })
})
