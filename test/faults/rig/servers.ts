// The servers that are tormented: a primary and its replica, each with an append-only file; a cluster; or servers that Sentinels watch.

import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { askServer, untilSo } from '../../support/redis-admin.js'
import type { Topology } from '../../support/redis-clients.js'
import { RedisCluster } from '../../support/redis-cluster.js'
import { RedisSentinels } from '../../support/redis-sentinels.js'
import { clusterFaultKinds, type FaultKind, faultKinds, type Servers, sentinelFaultKinds } from './injector.js'
import { stateOf } from './stores.js'
import { keys } from './works.js'

export interface Tormented extends Servers {
  readonly kinds: readonly FaultKind[]
  /** The port for a worker's proxy; undefined: clients find the servers by themselves. */
  readonly port: number | undefined
  /** Called when proxies have to go to another port. */
  onMove: (port: number) => void
  /** `proxyUrl` is that of the worker's own proxy. */
  topologyFor(proxyUrl: string): Topology
  stop(): Promise<void>
}

export function startTormented(kind: Topology['kind']): Promise<Tormented> {
  if (kind === 'cluster') return TormentedCluster.start()
  return kind === 'sentinel' ? TormentedSentinels.start() : TormentedPair.start()
}

/**
 * The file is written before a reply is sent, and what the kernel has is not lost with the process, so a restart loses
 * nothing. The replica gets the data after the reply, so a failover may lose some.
 */
const serverArguments = [
  '--appendonly',
  'yes',
  '--appendfsync',
  'no',
  '--repl-diskless-sync-delay',
  '0',
  '--repl-backlog-size',
  '16mb',
]

class TormentedPair implements Tormented {
  readonly kinds = faultKinds
  #primary: RedisServer
  #replica: RedisServer
  onMove: (port: number) => void = () => {}

  private constructor(primary: RedisServer, replica: RedisServer) {
    this.#primary = primary
    this.#replica = replica
  }

  static async start(): Promise<TormentedPair> {
    const [primary, replica] = await Promise.all([startRedisServer(serverArguments), startRedisServer(serverArguments)])
    const servers = new TormentedPair(primary, replica)
    await servers.#follow()
    return servers
  }

  get port(): number {
    return this.#primary.port
  }

  topologyFor(proxyUrl: string): Topology {
    return { kind: 'single', url: proxyUrl }
  }

  async restart(): Promise<void> {
    // After it has followed another server, its file counts only once it is rewritten.
    await untilSo('the append-only file is whole', async () => {
      const info = String(await askServer(this.port, 'INFO', 'persistence'))
      return ['aof_enabled:1', 'aof_rewrite_in_progress:0', 'aof_rewrite_scheduled:0'].every(is => info.includes(is))
    })
    await this.#primary.kill()
    await this.#primary.start()
  }

  async restartEmpty(lost: () => void): Promise<void> {
    await this.#primary.kill()
    await this.#primary.wipe()
    await this.#primary.start()
    lost()
  }

  /** Kills the primary, puts the replica in its place, and starts the old primary, empty, as the new one's replica. */
  async failOver(lost: () => void): Promise<void> {
    await this.#primary.kill()
    await askServer(this.#replica.port, 'REPLICAOF', 'NO', 'ONE')
    const dead = this.#primary
    this.#primary = this.#replica
    this.#replica = dead
    this.onMove(this.port)
    lost()
    await dead.wipe()
    // It must never be a master again, not even for a moment, because a client might find it.
    await dead.start(['--replicaof', '127.0.0.1', String(this.port)])
    await this.#follow()
  }

  async flushScripts(): Promise<void> {
    await flushScripts(this.port)
  }

  async killClients(): Promise<void> {
    await killClients(this.port)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#primary.stop(), this.#replica.stop()])
  }

  async #follow(): Promise<void> {
    await askServer(this.#replica.port, 'REPLICAOF', '127.0.0.1', String(this.#primary.port))
    await untilSo('the replica follows its primary', async () =>
      String(await askServer(this.#replica.port, 'INFO', 'replication')).includes('master_link_status:up'),
    )
  }
}

class TormentedCluster implements Tormented {
  readonly kinds = clusterFaultKinds
  readonly port = undefined
  readonly #cluster: RedisCluster
  onMove = (): void => {}

  private constructor(cluster: RedisCluster) {
    this.#cluster = cluster
  }

  static async start(): Promise<TormentedCluster> {
    return new TormentedCluster(await RedisCluster.start(['--appendonly', 'yes', '--appendfsync', 'no']))
  }

  topologyFor(): Topology {
    return { kind: 'cluster', nodes: this.#cluster.nodes }
  }

  async failOver(lost: () => void, choice: number): Promise<void> {
    await this.#cluster.failOver(chooseName(choice), lost)
  }

  async migrateSlot(choice: number): Promise<void> {
    await this.#cluster.moveSlotOf(chooseName(choice))
  }

  async flushScripts(): Promise<void> {
    await this.#onEach(flushScripts)
  }

  async killClients(): Promise<void> {
    await this.#onEach(killClients)
  }

  async stop(): Promise<void> {
    await this.#cluster.stop()
  }

  async #onEach(work: (port: number) => Promise<void>): Promise<void> {
    for (const { port } of this.#cluster.servers) await work(port)
  }
}

class TormentedSentinels implements Tormented {
  readonly kinds = sentinelFaultKinds
  readonly port = undefined
  readonly #sentinels: RedisSentinels
  onMove = (): void => {}

  private constructor(sentinels: RedisSentinels) {
    this.#sentinels = sentinels
  }

  static async start(): Promise<TormentedSentinels> {
    return new TormentedSentinels(await RedisSentinels.start())
  }

  topologyFor(): Topology {
    return { kind: 'sentinel', nodes: this.#sentinels.sentinels, name: this.#sentinels.name }
  }

  async failOver(lost: () => void): Promise<void> {
    await this.#sentinels.failOver(lost)
  }

  async flushScripts(): Promise<void> {
    await flushScripts((await this.#sentinels.master()).port)
  }

  async killClients(): Promise<void> {
    await killClients((await this.#sentinels.master()).port)
  }

  async stop(): Promise<void> {
    await this.#sentinels.stop()
  }
}

async function flushScripts(port: number): Promise<void> {
  await askServer(port, 'SCRIPT', 'FLUSH')
}

async function killClients(port: number): Promise<void> {
  await askServer(port, 'CLIENT', 'KILL', 'TYPE', 'normal')
  await askServer(port, 'CLIENT', 'KILL', 'TYPE', 'pubsub')
}

/** The name in Redis of one of the keys of the workers. */
function chooseName(choice: number): string {
  return stateOf(keys[Math.floor(choice * keys.length)] ?? '')
}
