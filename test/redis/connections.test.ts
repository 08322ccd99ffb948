// What a store may be given as its connection, what it does with that, and what is refused at start.

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { LockEngine, type Store } from '@dspinlock/core'
import {
  glideConnection,
  type IoredisClient,
  type NodeRedisClient,
  type RedisConnection,
  redisStore,
} from '@dspinlock/redis'
import { GlideClient, Logger } from '@valkey/valkey-glide'
import { expect } from 'chai'
import { startRedisServer } from 'dspinlock-local-redis'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import * as nodeRedis from 'redis'
import * as nodeRedis5 from 'redis5'
import { FaultProxy } from '../support/fault-proxy.js'
import { redisUrl } from '../support/redis.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { noteTroubles } from '../support/troubles.js'

// GLIDE writes to standard error that a client which is closed cannot subscribe any more.
Logger.setLoggerConfig('off')

describe('connections', () => {
  const given: readonly [string, () => string | Redis | { host: string; port: number }][] = [
    ['a URL', () => redisUrl()],
    ['ioredis options', () => ({ host: new URL(redisUrl()).hostname, port: Number(new URL(redisUrl()).port) })],
    ['an ioredis client', () => new Redis(redisUrl())],
    ['an ioredis client that pipelines by itself', () => new Redis(redisUrl(), { enableAutoPipelining: true })],
  ]
  for (const [what, make] of given) {
    it(`${what}: two stores on it share their keys; a client stays open`, async () => {
      const connection = make()
      const stores = [
        redisStore(connection, { prefix: 'shared' }),
        redisStore(connection, { prefix: 'shared' }),
      ] as const
      const [one, other] = stores.map(store => new LockEngine({ store })) as [LockEngine, LockEngine]
      const held = await one.enter(what, { duplicates: 'reject' })
      expect(held.role).to.equal('holder')
      expect((await other.enter(what, { duplicates: 'reject' })).role).to.equal('refused')
      if (held.role === 'holder') await held.hold.release()
      await Promise.all([one.close(), other.close()])
      for (const store of stores) await store.close()
      if (!(connection instanceof Redis)) return
      expect(await connection.ping()).to.equal('PONG')
      connection.disconnect()
    })
  }

  it('TypeScript takes every client that the documentation names as it is', async () => {
    const url = redisUrl()
    const lazy = { lazyConnect: true } as const
    const ofIoredis: readonly IoredisClient[] = [
      new Redis(url, lazy),
      new Cluster([], lazy),
      new Redis5(url, lazy),
      new Cluster5([], lazy),
    ]
    const ofNodeRedis: readonly NodeRedisClient[] = [
      nodeRedis.createClient({ url }),
      nodeRedis.createCluster({ rootNodes: [{ url }] }),
      nodeRedis.createSentinel({ name: 'jobs', sentinelRootNodes: [] }),
      nodeRedis5.createClient({ url }),
      nodeRedis5.createCluster({ rootNodes: [{ url }] }),
    ]
    const connections: readonly RedisConnection[] = [...ofIoredis, ...ofNodeRedis]
    for (const connection of connections) await redisStore(connection).close()
  })

  it('a prefix that a client of ioredis puts before each key is part of what is listed', async () => {
    const [mine, plain] = [new Redis(redisUrl(), { keyPrefix: 'mine*:' }), new Redis(redisUrl())]
    const stores = [redisStore(mine, { prefix: 'prefixed' }), redisStore(plain, { prefix: 'prefixed' })] as const
    const [one, other] = stores.map(store => new LockEngine({ store })) as [LockEngine, LockEngine]
    const [a, b] = [await one.enter('a'), await other.enter('b')]
    const list = async (store: Store): Promise<string[]> => {
      const listed: string[] = []
      for await (const { key } of store.list()) listed.push(key)
      return listed
    }
    expect([await list(stores[0]), await list(stores[1])]).to.deep.equal([['a'], ['b']])
    for (const entry of [a, b]) if (entry.role === 'holder') await entry.hold.release()
    await Promise.all([one.close(), other.close()])
    for (const store of stores) await store.close()
    for (const client of [mine, plain]) client.disconnect()
  })

  const wrong: readonly [unknown, RegExp][] = [
    ['localhost:6379', /connection must be a URL that starts with redis:\/\//],
    ['redis://:100%@localhost', /connection must be a URL .* password went through encodeURIComponent\(\)/],
    ['redis://:a#b@localhost', /connection must be a URL .* password went through encodeURIComponent\(\)/],
    ['redis://:a/b@localhost', /connection must be a URL .* password went through encodeURIComponent\(\)/],
    ['redis://:a?b@localhost', /connection must be a URL .* password went through encodeURIComponent\(\)/],
    ['http://localhost', /connection must be .*redis:\/\//],
    [undefined, /connection must be .*received undefined/],
    [6379, /connection must be .*received 6379/],
    [[], /connection must be .*received an array/],
    [{ url: 'redis://localhost' }, /option url is none of ioredis.*createRedisConnection/],
    [{ host: 'redis', ssl: true }, /option ssl is none of ioredis/],
    [{ hostname: 'redis' }, /option hostname is none of ioredis/],
    [{ host: 'redis', database: 3 }, /option database is none of ioredis/],
    [{ host: 'redis', db: Number(undefined) }, /option db must be the number of a database, but received NaN/],
    [{ host: 'redis', port: 'redis' }, /option port must be the number of a port, but received "redis"/],
    [{ host: 'redis', port: 65_536 }, /option port must be the number of a port, but received 65536/],
    ['redis://localhost/jobs', /connection must be a URL whose path is the number of a database/],
    ['unix:///run/redis.sock?db=jobs', /connection must be a URL whose path is the number of a database/],
  ]
  for (const [connection, message] of wrong) {
    it(`${JSON.stringify(connection)} is a TypeError at start`, () => {
      expect(() => redisStore(connection as string)).to.throw(TypeError, message)
    })
  }

  it('white space around a URL, as files and environments have it, is none of it; digits of an environment are numbers', async () => {
    const { hostname, port } = new URL(redisUrl())
    for (const connection of [` ${redisUrl()}\n`, { host: hostname, port: port as unknown as number, db: 0 }]) {
      const store = redisStore(connection, { prefix: 'white-space' })
      expect(await store.inspect('nothing')).to.equal(undefined)
      await store.close()
    }
  })

  it('a client of ioredis whose numbers come as text is a TypeError', () => {
    const client = new Redis(redisUrl(), { stringNumbers: true, lazyConnect: true })
    expect(() => redisStore(client)).to.throw(TypeError, /without the option stringNumbers/)
    expect(() => redisStore({ stringNumbers: true })).to.throw(TypeError, /without the option stringNumbers/)
  })

  for (const [version, { createClient }] of [
    ['6', nodeRedis],
    ['5', nodeRedis5 as unknown as typeof nodeRedis],
  ] as const) {
    it(`a client of node-redis ${version} that gives up at once: the connection that listens is made anew all the same`, async () => {
      const proxy = await FaultProxy.open(Number(new URL(redisUrl()).port))
      const sends = (command: RegExp): Promise<void> =>
        new Promise(resolve => {
          proxy.onRequest = request => {
            if (command.test(request.toString('latin1'))) resolve()
          }
        })
      const client = createClient({ url: proxy.url, socket: { reconnectStrategy: false } })
      await client.on('error', () => {}).connect()
      // A store asks for the version as soon as it listens.
      const listens = sends(/\r\ninfo\r\n/i)
      const store = redisStore(client)
      await listens
      const listensAgain = sends(/\r\nsubscribe\r\n/i)
      proxy.cut()
      await listensAgain
      await store.close()
      await proxy.close()
    })

    it(`a store that is closed while a client of node-redis ${version} connects to listen leaves no connection open`, async () => {
      const redis = await startRedisServer()
      const client = createClient({ url: redis.url })
      await client.on('error', () => {}).connect()
      const duplicate = client.duplicate.bind(client)
      const store = redisStore(client)
      await new Promise(connected => {
        client.duplicate = ((...overrides: []) => {
          // By then it has begun to connect.
          queueMicrotask(() => void store.close())
          return duplicate(...overrides).on('connect', () => connected(undefined))
        }) as typeof client.duplicate
      })
      await untilSo('only the client itself and who asks are connected', async () => {
        const list = String(await askServer(redis.port, 'CLIENT', 'LIST'))
        return list.trim().split('\n').length === 2
      })
      client.destroy()
      await redis.stop()
    })
  }

  it('a client of ioredis that gives up where no Sentinel answers: the connection that listens is made anew all the same', async () => {
    const redis = await startRedisServer()
    const sentinel = createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', data => {
        for (const command of data.toString().split(/(?=\*\d+\r\n)/)) {
          const address = `*2\r\n$9\r\n127.0.0.1\r\n$${String(redis.port).length}\r\n${redis.port}\r\n`
          socket.write(/get-master-addr/.test(command) ? address : '+OK\r\n')
        }
      })
    })
    await once(sentinel.listen(0, '127.0.0.1'), 'listening')
    const proxy = await FaultProxy.open((sentinel.address() as AddressInfo).port)
    const client = new Redis({
      name: 'jobs',
      sentinels: [{ host: '127.0.0.1', port: proxy.port }],
      updateSentinels: false,
      sentinelRetryStrategy: () => null,
    })
    client.on('error', () => {})
    const store = redisStore(client)
    const isHeard = async (): Promise<boolean> =>
      ((await askServer(redis.port, 'PUBSUB', 'CHANNELS')) as string[]).length > 0
    try {
      await untilSo('it listens', isHeard)
      const { noted, stop } = noteTroubles('redis')
      proxy.refuse()
      await askServer(redis.port, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
      await untilSo('it is refused', async () => noted.length > 0)
      stop()
      proxy.heal()
      await untilSo('it listens again', isHeard)
    } finally {
      await store.close()
      client.disconnect()
      await proxy.close()
      sentinel.close()
      await redis.stop()
    }
  })

  it('a client of GLIDE that connects only when it is used: the connection that listens is made at once', async () => {
    const { hostname: host, port } = new URL(redisUrl())
    const client = glideConnection(GlideClient, { addresses: [{ host, port: Number(port) }], lazyConnect: true })
    const channel = `lazy ${Math.random()}`
    const ignore = (): void => {}
    const listening = await new Promise<{ close(): void }>((resolve, reject) => {
      const made = client.listen([channel], {
        onMessage: ignore,
        onLost: ignore,
        onTrouble: reject,
        onListening: () => resolve(made),
      })
    })
    expect(await askServer(Number(port), 'PUBSUB', 'NUMSUB', channel)).to.deep.equal([channel, 1])
    listening.close()
    client.close()
  })

  it('a store that is closed at once opens no connection', async () => {
    let duplicates = 0
    const client = Object.assign(nodeRedis.createClient({ url: redisUrl() }), {
      duplicate: () => {
        duplicates++
        throw new Error('a connection was opened')
      },
    })
    await redisStore(client as unknown as NodeRedisClient).close()
    await new Promise(resolve => setImmediate(resolve))
    expect(duplicates).to.equal(0)
  })

  it('a sentinel client of node-redis 5 is a TypeError that names what would do', () => {
    const client = nodeRedis5.createSentinel({ name: 'jobs', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] })
    expect(() => redisStore(client as unknown as string)).to.throw(TypeError, /node-redis 5.*use version 6, or ioredis/)
  })

  it('a pool of node-redis is a TypeError that names what would do', () => {
    expect(() => redisStore(nodeRedis.createClientPool({ url: redisUrl() }) as unknown as string)).to.throw(
      TypeError,
      /a pool.*use createClient/,
    )
  })

  it('a store that is closed before it knows beside which client of node-redis to listen makes no connection', async () => {
    let made = 0
    const client = {
      isOpen: true,
      sendCommand: async () => {},
      on: () => {},
      duplicate: () => {
        made++
        throw new Error('no connection is wanted any more')
      },
    }
    const cluster = {
      ...client,
      masters: [{ address: '127.0.0.1:1' }],
      replicas: [],
      nodeClient: () => nextTurn(client),
    }
    for (const connection of [client, cluster]) await redisStore(connection).close()
    await nextTurn()
    await nextTurn()
    expect(made).to.equal(0)
  })

  it('a password in a wrong URL is not shown', () => {
    expect(() => redisStore('http://user:hunter2@localhost'))
      .to.throw(TypeError)
      .with.property('message')
      .not.contain('hunter2')
  })

  it('options of the store among those of the connection are a TypeError that says where they go', () => {
    for (const misplaced of [{ prefix: 'shop' }, { localCache: {} }, { minReplicas: 1 }]) {
      const [name] = Object.keys(misplaced)
      expect(() => redisStore({ host: '127.0.0.1', ...misplaced } as object)).to.throw(
        TypeError,
        `option ${name} is none of the connection, which would ignore it; give it to redisStore as its second argument`,
      )
    }
  })

  for (const [options, message] of [
    [{ prefix: 'a{b}' }, /prefix must be .*"a\{b\}"/],
    [{ commandTimeoutMs: Number.NaN }, /commandTimeoutMs must be .*NaN/],
    [{ timeout: 5 }, /unknown option "timeout".*commandTimeoutMs/],
  ] as const) {
    it(`${JSON.stringify(options)} is a TypeError at start`, () => {
      expect(() => redisStore(redisUrl(), options as object)).to.throw(TypeError, message)
    })
  }
})
