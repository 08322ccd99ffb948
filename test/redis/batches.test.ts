// Operations issued in one turn of the event loop go to Redis together, with the same results as if each had gone alone.

import { LockEngine } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Cluster, Redis } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { sharedCluster, sharedClusterNode } from '../support/redis-cluster.js'

async function scriptCalls(port: number, work: () => Promise<unknown>): Promise<number> {
  await askServer(port, 'CONFIG', 'RESETSTAT')
  await work()
  const stats = String(await askServer(port, 'INFO', 'commandstats'))
  return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}

const keys = Array.from({ length: 40 }, (_, n) => `key ${n}`)

describe('operations of one turn', () => {
  let redis: RedisServer | undefined
  afterEach(async () => {
    await redis?.stop()
    redis = undefined
  })

  it('leave in as few calls as hold thirty-two each, and every one has its own answer', async () => {
    redis = await startRedisServer()
    const store = redisStore(redis.url)
    const engine = new LockEngine({ store })
    await holdOf(await engine.enter('warm')).release()
    let fences: number[] = []
    const calls = await scriptCalls(redis.port, async () => {
      const holds = (await Promise.all(keys.map(key => engine.enter(key)))).map(holdOf)
      fences = holds.map(({ fence }) => fence)
      expect(await Promise.all(holds.map(async hold => hold.release()))).to.deep.equal(keys.map(() => true))
    })
    expect(new Set(fences).size, 'fences of one call').to.equal(keys.length)
    expect(calls).to.equal(4)
    await engine.close()
    await store.close()
  })

  it('leave after each large record, which those behind it do not wait for', async () => {
    redis = await startRedisServer()
    const store = redisStore(redis.url)
    const engine = new LockEngine({ store })
    const three = keys.slice(0, 3)
    const holds = (await Promise.all(three.map(key => engine.enter(key, { duplicates: 'replay' })))).map(holdOf)
    const settle = (): Promise<unknown> => Promise.all(holds.map(async hold => hold.settle(new Uint8Array(70_000))))
    expect(await scriptCalls(redis.port, settle)).to.equal(3)
    await engine.close()
    await store.close()
  })

  it('that were answered keep no timer, which would keep the process', async () => {
    redis = await startRedisServer()
    const store = redisStore(redis.url)
    const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    await store.inspect('warm')
    const before = timers()
    const asked = keys.map(async key => store.inspect(key))
    expect(timers(), 'while there is no answer').to.equal(before + 1)
    await Promise.all(asked)
    expect(timers()).to.equal(before)
    await store.close()
  })

  it('of several processes on one key: one holds, and the others are refused', async () => {
    redis = await startRedisServer()
    const store = redisStore(redis.url)
    const engines = Array.from({ length: 5 }, () => new LockEngine({ store }))
    const entries = await Promise.all(engines.map(engine => engine.enter('k', { duplicates: 'reject' })))
    expect(entries.map(({ role }) => role).sort()).to.deep.equal(['holder', 'refused', 'refused', 'refused', 'refused'])
    for (const entry of entries) if (entry.role === 'holder') await entry.hold.release()
    for (const engine of engines) await engine.close()
    await store.close()
  })

  it('do not fail for what one of them may not do', async () => {
    redis = await startRedisServer()
    const store = redisStore(redis.url)
    const engine = new LockEngine({ store })
    const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
    await holdOf(await engine.enter('done', replay)).settle(Uint8Array.of(1))
    // A full Redis allows reading, and refuses writing.
    await askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 1)
    const [fresh, again] = await Promise.allSettled([engine.enter('new', replay), engine.enter('done', replay)])
    expect(String(fresh.status === 'rejected' && fresh.reason)).to.match(/OOM.*raise maxmemory/)
    expect(again.status === 'fulfilled' && again.value.role).to.equal('follower')
    await askServer(redis.port, 'CONFIG', 'SET', 'maxmemory', 0)
    await engine.close()
    await store.close()
  })

  it('go one by one to a server that is a part of a cluster, although the client knows of none', async () => {
    const { url, port } = await sharedClusterNode()
    const store = redisStore(url)
    const engine = new LockEngine({ store })
    for (let round = 0; round < 2; round++) {
      await askServer(port, 'CONFIG', 'RESETSTAT')
      const holds = (await Promise.all(keys.map(key => engine.enter(key)))).map(holdOf)
      expect(await Promise.all(holds.map(async hold => hold.release()))).to.deep.equal(keys.map(() => true))
    }
    const stats = String(await askServer(port, 'INFO', 'commandstats'))
    expect(stats, 'once it is known').to.match(/cmdstat_evalsha:.*rejected_calls=0/)
    await engine.close()
    await store.close()
  })

  for (const how of ['together', 'alone', 'alone, in Valkey’s words'] as const) {
    it(`show, ${how}, that one address leads to a whole cluster, in which a waiter is handed a key whose node does not know that it listens`, async function () {
      this.timeout(30_000)
      const cluster = await sharedCluster()
      const owner = await cluster.masterOf('dspinlock:{=k}')
      const listening = cluster.servers.find(server => server !== owner)
      const clients = [new Cluster(cluster.nodes), new Cluster(cluster.nodes)]
      /** What a proxy in front of a cluster is to a client: each command goes to the node of its key, and all who listen do so on one node. */
      const duplicate = (options: object): Redis => new Redis({ ...options, port: listening?.port ?? 0 })
      const asked: Promise<unknown>[] = []
      const stores = clients.map(client => {
        const info = async (...of: ['server']): Promise<string> => {
          const told = await client.info(...of)
          return how === 'alone' ? told : told.replace('redis_mode:', 'server_mode:')
        }
        const infoBuffer = (...of: ['server']): unknown => asked[asked.push(info(...of)) - 1]
        const changed = { isCluster: false, duplicate, ...(how === 'together' ? {} : { infoBuffer }) }
        const descriptors = Object.entries(changed).map(([name, value]) => [name, { value }] as const)
        return redisStore(Object.create(client, Object.fromEntries(descriptors)) as Redis)
      })
      // No waiter polls while the test runs.
      const engines = stores.map(store => new LockEngine({ store, pollMs: 60_000 }))
      const [one, other] = engines as [LockEngine, LockEngine]
      if (how !== 'together') {
        await untilSo('each server was asked', async () => asked.length === stores.length)
        await Promise.all(asked)
      } else {
        for (const engine of engines) {
          const holds = (await Promise.all(keys.map(key => engine.enter(key)))).map(holdOf)
          await Promise.all(holds.map(async hold => hold.release()))
        }
      }
      const hold = holdOf(await one.enter('k', { leaseMs: 60_000 }))
      const next = other.enter('k', { leaseMs: 60_000, waitMs: 5_000 })
      await untilSo('it waits', async () => (await one.inspect('k'))?.waiters === 1)
      await hold.release()
      await holdOf(await next).release()
      await Promise.all(engines.map(engine => engine.close()))
      for (const store of stores) await store.close()
      for (const client of clients) client.disconnect()
    })
  }
})
