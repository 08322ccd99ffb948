// Every client that the store takes, on every kind of server, made as an application would make it.

import { glideConnection, type RedisConnection } from '@dspinlock/redis'
import { GlideClient, GlideClusterClient, Logger } from '@valkey/valkey-glide'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis5'
import * as nodeRedis from 'redis'
import * as nodeRedis5 from 'redis5'
import type { NodeAddress } from './redis-cluster.js'

export const clientNames = ['ioredis', 'ioredis5', 'node-redis', 'node-redis5', 'glide'] as const
export type ClientName = (typeof clientNames)[number]

/** The kind of server behind the address, and the address. */
export type Topology =
  | { readonly kind: 'single'; readonly url: string }
  | { readonly kind: 'cluster'; readonly nodes: readonly NodeAddress[] }
  | { readonly kind: 'sentinel'; readonly nodes: readonly NodeAddress[]; readonly name: string }

export interface ConnectedClient {
  /** Makes a connection for one store. */
  connection(): RedisConnection
  close(): Promise<void>
}

// GLIDE warns about every script that a server does not know yet, and every connection that a test cuts.
Logger.setLoggerConfig('off')

// node-redis builds a class of hundreds of methods for each client that has another address than the client made before it, so that a Sentinel
// client, which makes several in turn, takes a quarter of a second to connect. The classes differ by these options alone, so each is built once.
const nodeRedisClient = nodeRedis.RedisClient as unknown as { factory: (config?: Record<string, object>) => unknown }
const { factory: buildClass } = nodeRedisClient
const classes = new Map<string, unknown>()
nodeRedisClient.factory = ({ RESP, modules, functions, scripts } = {}) => {
  const key = JSON.stringify([RESP, ...[modules, functions, scripts].map(named => Object.keys(named ?? {}))])
  if (!classes.has(key)) classes.set(key, buildClass({ RESP, modules, functions, scripts } as Record<string, object>))
  return classes.get(key)
}

/** Errors reach the application's listener, as they must; here they are ignored. */
const ignore = (): void => {}
const reconnectStrategy = (retries: number): number => Math.min(50 * 2 ** Math.min(retries, 4), 500)

export async function connectClient(name: ClientName, topology: Topology): Promise<ConnectedClient> {
  switch (name) {
    case 'ioredis':
      return connectIoredis(Redis, Cluster, topology)
    case 'ioredis5':
      // The options used here are the same in both versions.
      return connectIoredis(Redis5 as unknown as typeof Redis, Cluster5 as unknown as typeof Cluster, topology)
    case 'node-redis':
      return connectNodeRedis(nodeRedis, topology)
    case 'node-redis5':
      return connectNodeRedis(nodeRedis5 as unknown as typeof nodeRedis, topology)
    case 'glide':
      return connectGlide(topology)
  }
}

function connectIoredis(Single: typeof Redis, Clustered: typeof Cluster, topology: Topology): ConnectedClient {
  const client =
    topology.kind === 'cluster'
      ? new Clustered([...topology.nodes], { slotsRefreshTimeout: 2_000 })
      : topology.kind === 'sentinel'
        ? new Single({ sentinels: [...topology.nodes], name: topology.name })
        : new Single(topology.url)
  client.on('error', ignore)
  return { connection: () => client, close: async () => client.disconnect() }
}

async function connectNodeRedis(library: typeof nodeRedis, topology: Topology): Promise<ConnectedClient> {
  const socket = { reconnectStrategy }
  const client =
    topology.kind === 'cluster'
      ? library.createCluster({
          rootNodes: topology.nodes.map(node => ({ socket: { ...node } })),
          defaults: { socket },
        })
      : topology.kind === 'sentinel'
        ? library.createSentinel({ name: topology.name, sentinelRootNodes: [...topology.nodes] })
        : library.createClient({ url: topology.url, socket })
  client.on('error', ignore)
  await client.connect()
  return {
    connection: () => client,
    close: async () => {
      try {
        await client.destroy()
      } catch {
        // The client was closed already.
      }
    },
  }
}

function connectGlide(topology: Topology): ConnectedClient {
  if (topology.kind === 'sentinel') throw new TypeError('GLIDE does not know Sentinels')
  const addresses =
    topology.kind === 'cluster'
      ? [...topology.nodes]
      : [{ host: new URL(topology.url).hostname, port: Number(new URL(topology.url).port) }]
  const connectionBackoff = { numberOfRetries: 5, factor: 50, exponentBase: 2 }
  const config = { addresses, connectionBackoff, requestTimeout: 1_000 }
  // A store that makes its connection itself closes it, too.
  const connection = (): RedisConnection =>
    topology.kind === 'cluster' ? glideConnection(GlideClusterClient, config) : glideConnection(GlideClient, config)
  return { connection, close: async () => {} }
}
