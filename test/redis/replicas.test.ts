// minReplicas: a claim that too few replicas acknowledge does not count, and leaves nothing locked.

import { LockEngine, type Store } from '@dspinlock/core'
import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { redisUrl } from '../support/redis.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { clientNames, connectClient } from '../support/redis-clients.js'
import { readFence } from '../support/redis-state.js'

const minReplicas = 1
const replicasTimeoutMs = 200

describe('minReplicas', () => {
  const servers: RedisServer[] = []
  let primary: RedisServer
  let replica: RedisServer

  before(async () => {
    primary = await startRedisServer()
    servers.push(primary)
    replica = await startRedisServer(['--replicaof', '127.0.0.1', String(primary.port)])
    servers.push(replica)
    await untilSo('the replica is there', async () =>
      String(await askServer(primary.port, 'INFO', 'replication')).includes('state=online'),
    )
  })
  after(async () => {
    for (const server of servers) await server.stop()
  })

  const using = async (store: Store, work: (engine: LockEngine) => Promise<void>): Promise<void> => {
    const engine = new LockEngine({ store })
    await work(engine)
    await engine.close()
    await store.close()
  }

  for (const client of clientNames) {
    it(`through ${client}: acknowledged, a claim counts, is renewed and is handed on`, async () => {
      const connected = await connectClient(client, { kind: 'single', url: primary.url })
      const makeStore = (): Store => redisStore(connected.connection(), { minReplicas, replicasTimeoutMs })
      await using(makeStore(), async one => {
        await using(makeStore(), async other => {
          const key = `acknowledged-${client}`
          const hold = holdOf(await one.enter(key, { leaseMs: 900 }))
          const next = other.enter(key)
          await untilSo('it waits', async () => (await one.inspect(key))?.waiters === 1)
          let leaseLeftMs = 900
          await untilSo('it is renewed', async () => {
            const beforeMs = leaseLeftMs
            leaseLeftMs = (await one.inspect(key))?.leaseLeftMs ?? 0
            return leaseLeftMs > beforeMs
          })
          expect(hold.signal.aborted).to.equal(false)
          expect(await hold.release()).to.equal(true)
          const second = holdOf(await next)
          expect(second.fence).to.be.above(hold.fence)
          const reader = new Redis(replica.url)
          expect(await readFence(reader, `dspinlock:{=${key}}`)).to.equal(second.fence)
          reader.disconnect()
          await second.release()
        })
      })
      await connected.close()
    })

    it(`through ${client}, on a server without replicas: an error that says so, and nothing is locked`, async () => {
      const connected = await connectClient(client, { kind: 'single', url: redisUrl() })
      const key = `alone-${client}`
      const store = redisStore(connected.connection(), { minReplicas, replicasTimeoutMs: 50 })
      await using(store, async engine => {
        const error = await failure(engine.enter(key))
        expect(error.code).to.equal('ERR_DSPINLOCK_STORE')
        expect(error.message).to.match(/0 of the 1 replicas that minReplicas asks for.*within 50 ms.*lower minReplicas/)
        expect((await engine.inspect(key))?.leaseLeftMs ?? 0).to.equal(0)
      })
      await using(redisStore(redisUrl()), async engine => {
        await holdOf(await engine.enter(key, { waitMs: 0 })).release()
      })
      await connected.close()
    })
  }

  it('that take longer than a connection may be silent otherwise are waited for', async function () {
    this.timeout(40_000)
    const store = redisStore(redisUrl(), { minReplicas, replicasTimeoutMs: 4_500, commandTimeoutMs: 12_000 })
    await using(store, async engine => {
      expect((await failure(engine.enter('slow', { leaseMs: 20_000 }))).message).to.include('0 of the 1 replicas')
    })
  })

  it('through a cluster of node-redis: replicas of a node that the slot has left do not count', async () => {
    const client = new Redis(redisUrl())
    let sent = 0
    const cluster = {
      isOpen: true,
      masters: [] as unknown[],
      replicas: [],
      on: () => {},
      duplicate: () => {},
      nodeClient: () => new Promise(() => {}),
      sendCommand: (_key: string, _isReadOnly: boolean, [name = '', ...args]: readonly string[]) => {
        if (name !== 'WAIT') return client.callBuffer(name, ...args)
        // The first one goes to the old node, while the client learns from the claim where the slot is now.
        if (sent++ > 0) return Promise.resolve(0)
        cluster.masters = []
        return Promise.resolve(1)
      },
    }
    await using(redisStore(cluster as unknown as RedisConnection, { minReplicas }), async engine => {
      expect((await failure(engine.enter('moved'))).message).to.include('0 of the 1 replicas')
    })
    client.disconnect()
  })

  it('a replica that stopped answering: refused and released, and a hold that cannot be renewed is lost', async () => {
    await using(redisStore(primary.url, { minReplicas, replicasTimeoutMs }), async engine => {
      const held = holdOf(await engine.enter('held', { leaseMs: 600 }))
      const first = holdOf(await engine.enter('turns', { leaseMs: 60_000 }))
      const behind = failure(engine.enter('turns', { leaseMs: 60_000 }))
      const claim = { key: 'renewed', token: 'x-1.1', leaseMs: 60_000, wait: false, takeRecord: false, payload: '' }
      await engine.store.claim({ ...claim, arrival: 0 })
      const handed = holdOf(await engine.enter('handed', { leaseMs: 60_000 }))
      const others = redisStore(primary.url, { minReplicas, replicasTimeoutMs })
      const other = new LockEngine({ store: others })
      const theirs = failure(other.enter('handed', { leaseMs: 60_000 }))
      await untilSo('it waits', async () => (await engine.inspect('handed'))?.waiters === 1)
      await replica.kill()
      expect((await failure(Promise.resolve(engine.store.renew(claim)))).message).to.include('0 of the 1 replicas')
      expect(await first.release()).to.equal(true)
      expect((await behind).message, 'the next claim of the process').to.include('0 of the 1 replicas')
      expect(await handed.release()).to.equal(true)
      expect((await theirs).message, 'a turn of another process').to.include('0 of the 1 replicas')
      await other.close()
      await others.close()
      const error = await failure(engine.enter('new'))
      expect(error.message).to.include('0 of the 1 replicas')
      expect((await engine.inspect('new'))?.leaseLeftMs ?? 0).to.equal(0)
      const { signal } = held
      if (!signal.aborted) await new Promise(resolve => signal.addEventListener('abort', resolve))
      expect((signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
    })
  })
})
