// An address leads to another server from now on, and the old server lives on as a replica: connections follow the address.

import { once } from 'node:events'
import { channels, LockEngine, type Store, type TroubleEvent } from '@dspinlock/core'
import { glideConnection, redisStore } from '@dspinlock/redis'
import { GlideClient, Logger } from '@valkey/valkey-glide'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { atOnce } from '../support/at-once.js'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { connectClient } from '../support/redis-clients.js'

// GLIDE writes each connection that was lost to standard error.
Logger.setLoggerConfig('off')

/** Two servers, and an address that leads to the old one. */
interface Scene {
  readonly old: RedisServer
  readonly promoted: RedisServer
  readonly proxy: FaultProxy
  /** `pollMs` is long enough that no waiter polls while the test runs. */
  readonly makeEngine: (store?: Store, pollMs?: number) => LockEngine
  readonly failOver: () => Promise<void>
}

async function inScene(work: (scene: Scene) => Promise<void>): Promise<void> {
  const [old, promoted] = await Promise.all([startRedisServer(), startRedisServer()])
  const proxy = await FaultProxy.open(old.port)
  const stores: Store[] = []
  const engines: LockEngine[] = []
  try {
    await work({
      old,
      promoted,
      proxy,
      makeEngine: (store = redisStore(proxy.url), pollMs = 60_000) => {
        const engine = new LockEngine({ store, pollMs })
        stores.push(store)
        engines.push(engine)
        return engine
      },
      failOver: async () => {
        proxy.target = promoted.port
        await askServer(old.port, 'REPLICAOF', '127.0.0.1', promoted.port)
      },
    })
  } finally {
    await Promise.all(engines.map(engine => engine.close()))
    for (const store of stores) await store.close()
    await proxy.close()
    await Promise.all([old.stop(), promoted.stop()])
  }
}

async function countListening({ port }: RedisServer): Promise<number> {
  return ((await askServer(port, 'PUBSUB', 'CHANNELS', 'dspinlock:wake:*')) as string[]).length
}

describe('a server that is demoted', () => {
  it('is left for the new one, by commands and by the listening connection', () =>
    inScene(async ({ old, promoted, makeEngine, failOver }) => {
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
    }))

  it('is also left by a connection that was just about to listen there', () =>
    inScene(async ({ old, promoted, proxy, makeEngine, failOver }) => {
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
    }))
})

// What waits for something that a client or a store does every second or so: all together, each with servers of its own.
describe('a server that is demoted', () => {
  const clients = ['ioredis', 'node-redis'] as const
  const remade: string[] = []
  const onTrouble = (event: unknown): void => {
    const text = String((event as TroubleEvent).error)
    if (/leads to another server.*made anew/.test(text)) remade.push(text)
  }
  const cases: { what: string; work: (scene: Scene) => Promise<void> }[] = []
  const itToo = (what: string, work: (scene: Scene) => Promise<void>): void => void cases.push({ what, work })
  before(() => channels.trouble.subscribe(onTrouble))
  after(() => channels.trouble.unsubscribe(onTrouble))

  for (const name of clients) {
    itToo(
      `hands no turn to a process that still listens there with ${name}, and is left when it asks again`,
      async ({ old, promoted, proxy, makeEngine }) => {
        await askServer(old.port, 'REPLICAOF', '127.0.0.1', promoted.port)
        await untilSo('it is a replica', async () =>
          String(await askServer(old.port, 'INFO', 'replication')).includes('master_link_status:up'),
        )
        // One connection for commands, which leads to the new server, and another one to listen.
        proxy.target = promoted.port
        const client = await connectClient(name, { kind: 'single', url: proxy.url })
        await askServer(proxy.port, 'PING')
        proxy.target = old.port
        const behind = makeEngine(redisStore(client.connection()), 200)
        await untilSo('it listens to the replica', async () => (await countListening(old)) === 1)
        proxy.target = promoted.port
        const [one, other] = [makeEngine(), makeEngine()]
        await untilSo('the others listen to the new server', async () => (await countListening(promoted)) === 2)
        const first = holdOf(await one.enter('k', { leaseMs: 60_000 }))
        let isServed = false
        const behindTurn = behind.enter('k', { waitMs: 10_000 }).finally(() => {
          isServed = true
        })
        await untilSo('it waits', async () => (await one.inspect('k'))?.waiters === 1)
        const otherTurn = other.enter('k', { leaseMs: 60_000, waitMs: 10_000 })
        await untilSo('both wait', async () => (await one.inspect('k'))?.waiters === 2)
        await first.release()
        const hold = holdOf(await otherTurn)
        // The replica passes messages on in their order, so one that was sent to the process would be there by now.
        const listening = new Redis({ port: old.port })
        await listening.subscribe('afterwards')
        const told = once(listening, 'message')
        await askServer(promoted.port, 'PUBLISH', 'afterwards', 'now')
        await told
        listening.disconnect()
        expect(isServed, 'served while another one held').to.equal(false)
        await untilSo('it listens to the new server', async () => (await countListening(promoted)) === 3)
        await hold.release()
        await holdOf(await behindTurn).release()
        await client.close()
      },
    )
  }

  itToo('is left with GLIDE, too, whose connections cannot be led to a replica here', async ({ old }) => {
    const client = glideConnection(GlideClient, { addresses: [{ host: '127.0.0.1', port: old.port }] })
    let times = 0
    const ignore = (): void => {}
    const listening = client.listen(['glide'], {
      onMessage: ignore,
      onLost: ignore,
      onTrouble: ignore,
      onListening: () => void times++,
    })
    await untilSo('it listens', async () => times === 1)
    listening.reconnect()
    await untilSo('it listens anew', async () => times === 2)
    await untilSo('the old connection is gone', async () => {
      const listed = String(await askServer(old.port, 'CLIENT', 'LIST', 'TYPE', 'PUBSUB'))
      return listed.trim().split('\n').length === 1
    })
    listening.close()
    client.close()
  })

  itToo('is reported if there is no other', async ({ old, promoted, makeEngine }) => {
    const engine = makeEngine()
    await holdOf(await engine.enter('warm')).release()
    await askServer(old.port, 'REPLICAOF', '127.0.0.1', promoted.port)
    expect((await failure(engine.enter('k'))).message).to.match(/READONLY.*connect to its master/)
  })

  const outcomeOf = atOnce(cases.map(one => () => inScene(one.work)))
  for (const [n, { what }] of cases.entries()) it(what, () => outcomeOf(n)).timeout(40_000)

  it('is told of by each process that still listened there', async () => {
    await Promise.all(clients.map((_, n) => outcomeOf(n)))
    expect(remade).to.have.length.of.at.least(clients.length)
  })
})
