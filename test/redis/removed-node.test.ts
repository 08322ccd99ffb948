// A node that is taken out of its cluster, and runs on: what is said in the cluster does not reach it any more.

import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { askServer, untilSo } from '../support/redis-admin.js'

/** As a cluster's client would have them: what is beside each node, and which of them it knows. */
interface Nodes {
  connection: RedisConnection
  know(server: RedisServer): void
  close(): void
}

async function asIoredis(servers: readonly RedisServer[]): Promise<Nodes> {
  const clients = new Map(servers.map(server => [server, new Redis(server.url)]))
  let known: readonly (Redis | undefined)[] = []
  const [cluster] = clients.values()
  const connection = Object.create(cluster as Redis, {
    isCluster: { value: true },
    nodes: { value: () => known },
  }) as RedisConnection
  return {
    connection,
    know: server => {
      known = [clients.get(server)]
    },
    close: () => {
      for (const client of clients.values()) client.disconnect()
    },
  }
}

async function asNodeRedis(servers: readonly RedisServer[]): Promise<Nodes> {
  const clients = new Map(servers.map(({ url }) => [url, createClient({ url })]))
  for (const client of clients.values()) await client.connect()
  let masters: { address: string }[] = []
  const [cluster] = clients.values()
  return {
    connection: {
      isOpen: true,
      on: () => {},
      duplicate: () => {},
      replicas: [],
      get masters() {
        return masters
      },
      nodeClient: ({ address }: { address: string }) => clients.get(address),
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

  for (const [client, connect] of [
    ['ioredis', asIoredis],
    ['node-redis', asNodeRedis],
  ] as const) {
    it(`is left for one that is in it (${client})`, async () => {
      const nodes = await connect(servers)
      const [removed, other] = servers
      const listens = async ({ port }: RedisServer): Promise<boolean> =>
        ((await askServer(port, 'PUBSUB', 'CHANNELS')) as string[]).length > 0
      nodes.know(removed)
      const store = redisStore(nodes.connection)
      try {
        await untilSo('it listens', () => listens(removed))
        nodes.know(other)
        await untilSo('it listens elsewhere', () => listens(other))
        await untilSo('it does not listen there any more', async () => !(await listens(removed)))
      } finally {
        await store.close()
        nodes.close()
      }
    })
  }
})
