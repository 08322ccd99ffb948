// Slots of a cluster that migrate and have moved, while keys in them are held and asked for.

import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Cluster } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { untilSo } from '../support/redis-admin.js'
import { type ClientName, clientNames, connectClient } from '../support/redis-clients.js'
import { type RedisCluster, sharedCluster } from '../support/redis-cluster.js'

describe('a slot of a cluster', () => {
  let cluster: RedisCluster
  before(async function () {
    this.timeout(30_000)
    cluster = await sharedCluster()
  })

  const using = async (store: Store, work: (engine: LockEngine) => Promise<void>): Promise<void> => {
    const engine = new LockEngine({ store })
    try {
      await work(engine)
    } finally {
      await engine.close()
      await store.close()
    }
  }
  const connect = (name: ClientName) => connectClient(name, { kind: 'cluster', nodes: cluster.nodes })

  for (const name of clientNames) {
    it(`that migrates: holds of its keys are renewed and end (${name})`, async () => {
      const connected = await connect(name)
      const key = `migrating-${name}`
      await using(redisStore(connected.connection()), async engine => {
        const released = holdOf(await engine.enter(key, { leaseMs: 600 }))
        const finish = await cluster.beginToMove(`dspinlock:{=${key}}`)
        // Longer than the lease, so that it was renewed.
        await new Promise(resolve => setTimeout(resolve, 800))
        expect(released.signal.aborted).to.equal(false)
        expect(await released.release()).to.equal(true)
        await finish()
        const waitedFor = holdOf(await engine.enter(key))
        await using(redisStore(connected.connection()), async other => {
          const next = other.enter(key)
          await untilSo('it waits', async () => (await engine.inspect(key))?.waiters === 1)
          const finishAgain = await cluster.beginToMove(`dspinlock:{=${key}}`)
          expect(await waitedFor.release()).to.equal(true)
          // Nobody waits any more, so there is no crowd, though its state says that there may be.
          expect(await holdOf(await next).release()).to.equal(true)
          await finishAgain()
        })
        const settled = holdOf(await engine.enter(key, { duplicates: 'replay', ttlMs: 60_000 }))
        const finishAtLast = await cluster.beginToMove(`dspinlock:{=${key}}`)
        expect(await settled.settle(Buffer.from('done'))).to.equal(true)
        await finishAtLast()
        expect((await engine.enter(key, { duplicates: 'replay', ttlMs: 60_000 })).role).to.equal('follower')
      })
      await connected.close()
    })

    it(`that has moved: replicas of its new node are waited for (${name})`, async () => {
      const connected = await connect(name)
      const key = `moved-${name}`
      await using(redisStore(connected.connection(), { minReplicas: 1 }), async engine => {
        await holdOf(await engine.enter(key)).release()
        await cluster.moveSlotOf(`dspinlock:{=${key}}`)
        await holdOf(await engine.enter(key)).release()
      })
      await connected.close()
    })
  }

  it('that has moved is found by a client of ioredis that pipelines by itself, however much it has to do', async () => {
    const client = new Cluster([...cluster.nodes], { enableAutoPipelining: true })
    client.on('error', () => {})
    await using(redisStore(client), async engine => {
      const enterAndLeave = async (key: string): Promise<unknown> => holdOf(await engine.enter(key)).release()
      await enterAndLeave('pipelined')
      await cluster.moveSlotOf('dspinlock:{=pipelined}')
      let isFound = false
      const others = Array.from({ length: 50 }, async (_, n) => {
        for (let time = 0; !isFound; time++) await enterAndLeave(`other-${n}-${time}`)
      })
      try {
        await enterAndLeave('pipelined')
      } finally {
        isFound = true
      }
      await Promise.all(others)
    })
    client.disconnect()
  })
})
