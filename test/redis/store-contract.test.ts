// The Redis store keeps the store contract: through every client, on a single server, a cluster, behind Sentinels, and on Valkey.

import { storeContract } from '@dspinlock/core/store-contract'
import { redisStore } from '@dspinlock/redis'
import { findServerBinary, type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { redisUrl } from '../support/redis.js'
import {
  type ClientName,
  type ConnectedClient,
  clientNames,
  connectClient,
  type Topology,
} from '../support/redis-clients.js'
import { type RedisCluster, sharedCluster } from '../support/redis-cluster.js'
import { RedisSentinels } from '../support/redis-sentinels.js'

/** `topology` is called when the tests begin. */
function keepsTheContract(client: ClientName, topology: () => Topology): void {
  let connected: ConnectedClient
  before(async () => {
    connected = await connectClient(client, topology())
  })
  after(() => connected.close())
  for (const one of storeContract) {
    it(one.name, () => one.run({ makeStore: () => redisStore(connected.connection(), { prefix: 'contract' }) }))
  }
}

describe('store contract: Redis by URL', () => {
  for (const one of storeContract) {
    it(one.name, () => one.run({ makeStore: () => redisStore(redisUrl(), { prefix: 'contract' }) }))
  }
})

describe('store contract: Redis with records kept in the process', () => {
  const options = { prefix: 'contract', localCache: { maxBytes: 10_000_000, maxAgeMs: 60_000 } } as const
  for (const one of storeContract) it(one.name, () => one.run({ makeStore: () => redisStore(redisUrl(), options) }))
})

for (const client of clientNames) {
  describe(`store contract: Redis through ${client}`, () => {
    keepsTheContract(client, () => ({ kind: 'single', url: redisUrl() }))
  })
}

describe('store contract: Redis Cluster', () => {
  let cluster: RedisCluster
  before(async function () {
    this.timeout(30_000)
    cluster = await sharedCluster()
  })
  for (const client of clientNames) {
    describe(`through ${client}`, () => keepsTheContract(client, () => ({ kind: 'cluster', nodes: cluster.nodes })))
  }
})

describe('store contract: Redis behind Sentinels', () => {
  let sentinels: RedisSentinels
  before(async function () {
    this.timeout(30_000)
    sentinels = await RedisSentinels.start()
  })
  after(() => sentinels.stop())
  // GLIDE does not support Sentinels, the sentinel client of node-redis 5 cannot be duplicated, and ioredis 5 behaves like 6.
  for (const client of ['ioredis', 'node-redis'] as const) {
    describe(`through ${client}`, () =>
      keepsTheContract(client, () => ({ kind: 'sentinel', nodes: sentinels.sentinels, name: sentinels.name })))
  }
})

describe('store contract: Valkey', () => {
  const binary = findServerBinary('valkey-server')
  if (binary === undefined) {
    it.skip('valkey-server is not on PATH')
    return
  }
  let server: RedisServer
  before(async () => {
    server = await startRedisServer([], binary)
  })
  after(() => server.stop())
  for (const client of ['ioredis', 'glide'] as const) {
    describe(`through ${client}`, () => keepsTheContract(client, () => ({ kind: 'single', url: server.url })))
  }
})
