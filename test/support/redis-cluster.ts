// A Redis Cluster on loopback: masters with a replica each, slots that can be moved, and masters that can die.

import { findFreePort, type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { askServer, untilSo } from './redis-admin.js'
import { share } from './shared.js'

export interface NodeAddress {
  readonly host: string
  readonly port: number
}

const MASTERS = 3
const settings =
  '--cluster-enabled yes --cluster-node-timeout 1000 --cluster-announce-ip 127.0.0.1 --repl-diskless-sync-delay 0'.split(
    ' ',
  )
const SLOTS = 16_384

interface Node {
  readonly id: string
  readonly port: number
  readonly isMaster: boolean
  readonly isAlive: boolean
  /** The id of a replica's master. */
  readonly masterId: string
  readonly hasSlots: boolean
}

export class RedisCluster {
  readonly servers: readonly RedisServer[]

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers
  }

  static async start(extraArguments: readonly string[] = [], binary?: string): Promise<RedisCluster> {
    const servers = await Promise.all(
      Array.from({ length: MASTERS * 2 }, async () =>
        startRedisServer([...settings, '--cluster-port', String(await findFreePort()), ...extraArguments], binary),
      ),
    )
    const cluster = new RedisCluster(servers)
    await cluster.#form()
    return cluster
  }

  get nodes(): NodeAddress[] {
    return this.servers.map(({ port }) => ({ host: '127.0.0.1', port }))
  }

  /** The server that has the key's slot. */
  async masterOf(key: string): Promise<RedisServer> {
    const slot = await askServer(this.#anyPort(), 'CLUSTER', 'KEYSLOT', key)
    for (const { port } of await this.#alive()) {
      const ranges = (await askServer(port, 'CLUSTER', 'SLOTS')) as [number, number, [string, number]][]
      const range = ranges.find(([from, to]) => from <= Number(slot) && Number(slot) <= to)
      const server = this.servers.find(one => one.port === range?.[2][1])
      if (server !== undefined) return server
    }
    throw new Error(`no master has the slot of ${key}`)
  }

  /** Moves the key's slot with all its keys to another master, a few keys at a time, as redis-cli does. */
  async moveSlotOf(key: string): Promise<void> {
    const finish = await this.beginToMove(key)
    await finish()
  }

  /** Lets the key's slot migrate, with all keys still where they were, until the returned function is called. */
  async beginToMove(key: string): Promise<() => Promise<void>> {
    const source = await this.masterOf(key)
    const slot = String(await askServer(source.port, 'CLUSTER', 'KEYSLOT', key))
    const masters = (await this.#alive()).filter(node => node.isMaster && node.hasSlots)
    const from = masters.find(node => node.port === source.port)
    const to = masters.find(node => node.port !== source.port)
    if (from === undefined || to === undefined) throw new Error('there is no master to move the slot to')
    await askServer(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await askServer(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    return async () => {
      for (;;) {
        const names = (await askServer(from.port, 'CLUSTER', 'GETKEYSINSLOT', slot, '10')) as string[]
        if (names.length === 0) break
        await askServer(from.port, 'MIGRATE', '127.0.0.1', String(to.port), '', '0', '2000', 'KEYS', ...names)
      }
      for (const port of new Set([to.port, from.port, ...masters.map(node => node.port)])) {
        await askServer(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
      }
    }
  }

  /** Kills the master of the key's slot and waits until its replica has taken over. The dead one comes back as a replica. */
  async failOver(key: string, tookOver: () => void = () => {}): Promise<void> {
    const dead = await this.masterOf(key)
    await dead.kill()
    await untilSo('the replica takes over', async () => (await this.masterOf(key)) !== dead)
    tookOver()
    await dead.start()
    await this.whole()
  }

  /** Waits until every slot has a living master, and each master a replica that follows it. */
  async whole(): Promise<void> {
    await untilSo('the cluster is whole', async () => {
      for (const { port } of this.servers) {
        if (!String(await askServer(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok')) return false
        const info = String(await askServer(port, 'INFO', 'replication'))
        if (
          info.includes('role:slave') ? !info.includes('master_link_status:up') : !info.includes('connected_slaves:1')
        )
          return false
      }
      return true
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.servers.map(server => server.stop()))
  }

  async #form(): Promise<void> {
    const [first, ...others] = this.servers
    for (const { port } of others) {
      const busPort = await askServer(port, 'CONFIG', 'GET', 'cluster-port')
      await askServer(first?.port ?? 0, 'CLUSTER', 'MEET', '127.0.0.1', String(port), String((busPort as string[])[1]))
    }
    const share = Math.ceil(SLOTS / MASTERS)
    await Promise.all(
      this.servers.slice(0, MASTERS).map(({ port }, n) => {
        const range = [String(n * share), String(Math.min(SLOTS, (n + 1) * share) - 1)]
        return askServer(port, 'CLUSTER', 'ADDSLOTSRANGE', ...range)
      }),
    )
    await untilSo('all nodes know each other', async () => {
      for (const { port } of this.servers) if ((await this.#known(port)).length < this.servers.length) return false
      return true
    })
    const known = await this.#known(first?.port ?? 0)
    await Promise.all(
      this.servers.slice(MASTERS).map(({ port }, n) => {
        const master = known.find(node => node.port === this.servers[n]?.port)
        return askServer(port, 'CLUSTER', 'REPLICATE', master?.id ?? '')
      }),
    )
    await this.whole()
  }

  async #known(port: number): Promise<Node[]> {
    return String(await askServer(port, 'CLUSTER', 'NODES'))
      .split('\n')
      .filter(line => line !== '')
      .map(line => {
        const [id = '', address = '', flags = '', masterId = '', , , , link = '', ...slots] = line.split(' ')
        const isAlive = !flags.includes('fail') && !flags.includes('handshake') && link === 'connected'
        const isMaster = flags.includes('master')
        return {
          id,
          port: Number(/:(\d+)@/.exec(address)?.[1]),
          isMaster,
          isAlive,
          masterId,
          hasSlots: slots.length > 0,
        }
      })
      .filter(node => !Number.isNaN(node.port) && node.port > 0)
  }

  async #alive(): Promise<Node[]> {
    return (await this.#known(this.#anyPort())).filter(node => node.isAlive)
  }

  #anyPort(): number {
    const server = this.servers.find(one => one.isRunning)
    if (server === undefined) throw new Error('no server of the cluster runs')
    return server.port
  }
}

/** A cluster whose nodes stay alive, shared because it takes seconds to form. Its slots may be moved, but not left half-moved. */
export const sharedCluster = share(async () => {
  const cluster = await RedisCluster.start()
  // On a busy machine a node may be silent for longer than the second after which another one would replace it.
  await Promise.all(cluster.nodes.map(({ port }) => askServer(port, 'CONFIG', 'SET', 'cluster-node-timeout', 60_000)))
  return cluster
})

/** One server that is a whole cluster, shared because it takes two seconds until it accepts keys. */
export const sharedClusterNode = share(async () => {
  const bus = String(await findFreePort())
  const announced = ['--cluster-announce-ip', '127.0.0.1']
  const node = await startRedisServer(['--cluster-enabled', 'yes', '--cluster-port', bus, ...announced])
  await askServer(node.port, 'CLUSTER', 'ADDSLOTSRANGE', 0, SLOTS - 1)
  await untilSo('the cluster is up', async () =>
    String(await askServer(node.port, 'CLUSTER', 'INFO')).includes('cluster_state:ok'),
  )
  return node
})
