// Every client that the store takes, on every kind of server, made as an application would make it. Each is loaded when somebody wants it: a
// process that uses one of them starts in a third of the time that loading all takes.

import { glideConnection, type RedisConnection } from '@dspinlock/redis'
import type { Cluster, Redis } from 'ioredis'
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

/** Errors reach the application's listener, as they must; here they are ignored. */
const ignore = (): void => {}
const reconnectStrategy = (retries: number): number => Math.min(50 * 2 ** Math.min(retries, 4), 500)

export async function connectClient(name: ClientName, topology: Topology): Promise<ConnectedClient> {
  switch (name) {
    case 'ioredis':
      return connectIoredis(await import('ioredis'), topology)
    case 'ioredis5':
      // The options used here are the same in both versions.
      return connectIoredis((await import('ioredis5')) as unknown as Ioredis, topology)
    case 'node-redis':
      return connectNodeRedis(await loadNodeRedis(), topology)
    case 'node-redis5':
      return connectNodeRedis((await import('redis5')) as unknown as typeof import('redis'), topology)
    case 'glide':
      return connectGlide(await loadGlide(), topology)
  }
}

type Ioredis = Pick<typeof import('ioredis'), 'Redis' | 'Cluster'>

let nodeRedis: Promise<typeof import('redis')> | undefined

function loadNodeRedis(): Promise<typeof import('redis')> {
  nodeRedis ??= import('redis').then(library => {
    buildClassesOnce(library.RedisClient as unknown as ClassFactory)
    return library
  })
  return nodeRedis
}

interface ClassFactory {
  factory: (config?: Record<string, object>) => unknown
}

/**
 * node-redis builds a class of hundreds of methods for each client that has another address than the client made before it, so that a Sentinel
 * client, which makes several in turn, takes a quarter of a second to connect. The classes differ by these options alone, so each is built once.
 */
function buildClassesOnce(client: ClassFactory): void {
  const { factory: buildClass } = client
  const classes = new Map<string, unknown>()
  client.factory = ({ RESP, modules, functions, scripts } = {}) => {
    const key = JSON.stringify([RESP, ...[modules, functions, scripts].map(named => Object.keys(named ?? {}))])
    if (!classes.has(key)) classes.set(key, buildClass({ RESP, modules, functions, scripts } as Record<string, object>))
    return classes.get(key)
  }
}

async function loadGlide(): Promise<typeof import('@valkey/valkey-glide')> {
  const library = await import('@valkey/valkey-glide')
  // It warns about every script that a server does not know yet, and every connection that a test cuts.
  library.Logger.setLoggerConfig('off')
  return library
}

function connectIoredis(library: Ioredis, topology: Topology): ConnectedClient {
  const client: Redis | Cluster =
    topology.kind === 'cluster'
      ? new library.Cluster([...topology.nodes], { slotsRefreshTimeout: 2_000 })
      : topology.kind === 'sentinel'
        ? new library.Redis({ sentinels: [...topology.nodes], name: topology.name })
        : new library.Redis(topology.url)
  client.on('error', ignore)
  return { connection: () => client, close: async () => client.disconnect() }
}

async function connectNodeRedis(library: typeof import('redis'), topology: Topology): Promise<ConnectedClient> {
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

function connectGlide(
  { GlideClient, GlideClusterClient }: typeof import('@valkey/valkey-glide'),
  topology: Topology,
): ConnectedClient {
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
