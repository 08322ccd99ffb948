// An address leads to another server from now on, and the old server lives on as a replica: connections follow the address.

import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { askServer, untilSo } from '../support/redis-admin.js'

describe('a server that is demoted', () => {
  let old: RedisServer
  let promoted: RedisServer
  let proxy: FaultProxy
  let stores: Store[] = []
  let engines: LockEngine[] = []

  beforeEach(async () => {
    ;[old, promoted] = await Promise.all([startRedisServer(), startRedisServer()])
    proxy = await FaultProxy.open(old.port)
  })
  afterEach(async () => {
    await Promise.all(engines.map(engine => engine.close()))
    for (const store of stores) await store.close()
    ;[engines, stores] = [[], []]
    await proxy.close()
    await Promise.all([old.stop(), promoted.stop()])
  })

  /** Long enough that no waiter polls while the test runs. */
  const makeEngine = (): LockEngine => {
    const store = redisStore(proxy.url)
    const engine = new LockEngine({ store, pollMs: 60_000 })
    stores.push(store)
    engines.push(engine)
    return engine
  }
  const countListening = async ({ port }: RedisServer): Promise<number> =>
    ((await askServer(port, 'PUBSUB', 'CHANNELS', 'dspinlock:wake:*')) as string[]).length
  const failOver = async (): Promise<void> => {
    proxy.target = promoted.port
    await askServer(old.port, 'REPLICAOF', '127.0.0.1', promoted.port)
  }

  it('is left for the new one, by commands and by the listening connection', async () => {
    const [one, other] = [makeEngine(), makeEngine()]
    for (const engine of [one, other]) await holdOf(await engine.enter('warm')).release()
    await untilSo('both listen', async () => (await countListening(old)) === 2)
    await failOver()
    const hold = holdOf(await one.enter('k', { leaseMs: 60_000 }))
    const next = other.enter('k', { leaseMs: 60_000, waitMs: 10_000 })
    await untilSo('both listen there', async () => (await countListening(promoted)) === 2)
    await untilSo('it waits', async () => (await one.inspect('k'))?.waiters === 1)
    await hold.release()
    await holdOf(await next).release()
  })

  it('is also left by a connection that was just about to listen there', async () => {
    const engine = makeEngine()
    await holdOf(await engine.enter('warm')).release()
    await untilSo('it listens', async () => (await countListening(old)) === 1)
    const asked = new Promise<void>(resolve => {
      // A caller waits while the client connects, and looks again a second later.
      proxy.rewriteReply = reply => {
        const text = reply.toString('latin1')
        if (text.includes('loading:0')) resolve()
        return Buffer.from(text.replace('loading:0', 'loading:1'), 'latin1')
      }
    })
    await askServer(old.port, 'CLIENT', 'KILL', 'TYPE', 'PUBSUB')
    await asked
    proxy.rewriteReply = undefined
    await failOver()
    await holdOf(await engine.enter('k')).release()
    await untilSo('it listens there', async () => (await countListening(promoted)) === 1)
  })

  it('is reported if there is no other', async () => {
    const engine = makeEngine()
    await holdOf(await engine.enter('warm')).release()
    await askServer(old.port, 'REPLICAOF', '127.0.0.1', promoted.port)
    expect((await failure(engine.enter('k'))).message).to.include('READONLY')
  })
})
