// A node that was taken out of its cluster does not get the cluster's messages any more, though it may still answer.

import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { atOnce } from '../support/at-once.js'
import { askServer, untilSo } from '../support/redis-admin.js'

/** Like a cluster's client: the client for each node, and the nodes that it knows. */
interface Nodes {
  connection: RedisConnection
  know(server: RedisServer): void
  /** Resolves when the store wants to listen beside one of the nodes. */
  readonly asked: Promise<void>
  close(): void
}

async function asIoredis(servers: readonly RedisServer[]): Promise<Nodes> {
  const clients = new Map(servers.map(server => [server, new Redis(server.url)]))
  let known: readonly (Redis | undefined)[] = []
  let tellAsked = (): void => {}
  const asked = new Promise<void>(resolve => {
    tellAsked = resolve
  })
  const [cluster] = clients.values()
  const connection = Object.create(cluster as Redis, {
    isCluster: { value: true },
    nodes: {
      value: () => {
        if (known.length > 0) tellAsked()
        return known
      },
    },
  }) as RedisConnection
  for (const client of clients.values()) client.on('error', () => {})
  return {
    connection,
    asked,
    know: server => {
      known = [clients.get(server)]
    },
    close: () => {
      for (const client of clients.values()) client.disconnect()
    },
  }
}

/** `minimizeConnections`: a node's client is made when somebody asks for it, and given once it has connected. */
async function asNodeRedis(servers: readonly RedisServer[], minimizeConnections = false): Promise<Nodes> {
  const clients = new Map(servers.map(({ url }) => [url, createClient({ url })]))
  for (const client of clients.values()) await client.on('error', () => {}).connect()
  let tellAsked = (): void => {}
  const asked = new Promise<void>(resolve => {
    tellAsked = resolve
  })
  let masters: { address: string }[] = []
  const [cluster] = clients.values()
  return {
    asked,
    connection: {
      isOpen: true,
      on: () => {},
      duplicate: () => {},
      replicas: [],
      get masters() {
        return masters
      },
      nodeClient: ({ address }: { address: string }) => {
        tellAsked()
        const client = clients.get(address)
        return minimizeConnections && !client?.isReady ? new Promise(() => {}) : client
      },
      sendCommand: (_key: string, _isReadOnly: boolean, command: string[]) => cluster?.sendCommand(command),
    } as unknown as RedisConnection,
    know: ({ url }) => {
      masters = [{ address: url }]
    },
    close: () => {
      for (const client of clients.values()) client.destroy()
    },
  }
}

describe('a node that is taken out of its cluster', () => {
  let servers: [RedisServer, RedisServer]
  before(async () => {
    servers = await Promise.all([startRedisServer(), startRedisServer()])
  })
  after(async () => {
    for (const server of servers) await server.stop()
  })

  const clients = [
    ['ioredis', asIoredis],
    ['node-redis', asNodeRedis],
    ['node-redis with minimizeConnections', (all: readonly RedisServer[]) => asNodeRedis(all, true)],
  ] as const

  const leaveRemoved = async ([client, connect]: (typeof clients)[number]): Promise<void> => {
    const nodes = await connect(servers)
    const [removed, other] = servers
    const prefix = `removed-${client.replaceAll(' ', '-')}`
    const listens = async ({ port }: RedisServer): Promise<boolean> =>
      ((await askServer(port, 'PUBSUB', 'CHANNELS', `${prefix}:*`)) as string[]).length > 0
    nodes.know(removed)
    const store = redisStore(nodes.connection, { prefix })
    try {
      await untilSo('it listens', () => listens(removed))
      nodes.know(other)
      await untilSo('it listens elsewhere', () => listens(other))
      await untilSo('it does not listen there any more', async () => !(await listens(removed)))
    } finally {
      await store.close()
      nodes.close()
    }
  }
  // A store looks every few seconds whether its node is still one.
  const outcomeOf = atOnce(clients.map(one => () => leaveRemoved(one)))

  for (const [n, [client]] of clients.entries()) {
    it(`is left for one that is in it (${client})`, () => outcomeOf(n))
  }

  for (const [client, connect] of clients) {
    it(`is left for another where it does not answer at all (${client})`, async () => {
      const [dead, other] = servers
      const nodes = await connect(servers)
      await dead.kill()
      nodes.know(dead)
      const store = redisStore(nodes.connection)
      try {
        await nodes.asked
        nodes.know(other)
        await untilSo(
          'it listens',
          async () => ((await askServer(other.port, 'PUBSUB', 'CHANNELS')) as string[]).length > 0,
        )
      } finally {
        await store.close()
        nodes.close()
        await dead.start()
      }
    })
  }
})
