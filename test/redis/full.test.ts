// A Redis whose memory is full refuses new holds; those that there are go on and end, and leave their records.

import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { failure, holdOf } from '../support/engine.js'
import { askServer } from '../support/redis-admin.js'

const replay = { duplicates: 'replay', ttlMs: 60_000 } as const

describe('a full Redis', () => {
  let redis: RedisServer
  let store: Store
  let engine: LockEngine
  before(async () => {
    redis = await startRedisServer()
    store = redisStore(redis.url)
    engine = new LockEngine({ store })
  })
  beforeEach(() => askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 0))
  after(async () => {
    await engine.close()
    await store.close()
    await redis.stop()
  })

  it('keeps holds that began before, stores their records and replays them', async () => {
    const hold = holdOf(await engine.enter('paid', { ...replay, leaseMs: 300 }))
    await askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 1)
    expect((await failure(engine.enter('new'))).message).to.match(/: OOM command.*raise maxmemory/)
    // Longer than the lease, so that it was renewed.
    await new Promise(resolve => setTimeout(resolve, 400))
    expect(hold.signal.aborted).to.equal(false)
    expect(await hold.settle(Buffer.from('receipt'))).to.equal(true)
    const entry = await engine.enter('paid', replay)
    expect(entry.role === 'follower' && String(Buffer.from(entry.record))).to.equal('receipt')
  })

  it('frees a key that is released, so that it is free once there is room', async () => {
    const hold = holdOf(await engine.enter('released'))
    await askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 1)
    expect(await hold.release()).to.equal(true)
    await failure(engine.enter('released'))
    await askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 0)
    await holdOf(await engine.enter('released', { duplicates: 'reject' })).release()
  })

  it('hands a key on, in one process and to another', async () => {
    const otherStore = redisStore(redis.url)
    const other = new LockEngine({ store: otherStore })
    const hold = holdOf(await engine.enter('shared'))
    const here = engine.enter('shared')
    const there = other.enter('shared')
    await other.inspect('shared')
    await askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 1)
    await hold.release()
    const first = await Promise.race([here, there])
    await holdOf(first).release()
    const last = (await Promise.all([here, there])).find(entry => entry !== first)
    expect(last && (await holdOf(last).release())).to.equal(true)
    await other.close()
    await otherStore.close()
  })
})
