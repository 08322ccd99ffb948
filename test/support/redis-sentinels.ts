// A master with two replicas that three Sentinels watch, on loopback.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findFreePort, findServerBinary, type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { askServer, untilSo } from './redis-admin.js'
import type { NodeAddress } from './redis-cluster.js'

export class RedisSentinels {
  readonly name = 'jobs'
  readonly sentinels: readonly NodeAddress[]
  readonly #servers: readonly RedisServer[]
  readonly #processes: readonly ChildProcess[]
  readonly #directory: string

  private constructor(
    sentinels: readonly NodeAddress[],
    servers: readonly RedisServer[],
    processes: readonly ChildProcess[],
    directory: string,
  ) {
    this.sentinels = sentinels
    this.#servers = servers
    this.#processes = processes
    this.#directory = directory
  }

  static async start(): Promise<RedisSentinels> {
    const directory = await mkdtemp(join(tmpdir(), 'dspinlock-sentinels-'))
    const master = await startRedisServer(['--repl-diskless-sync-delay', '0'])
    const replicaArguments = ['--repl-diskless-sync-delay', '0', '--replicaof', '127.0.0.1', String(master.port)]
    const replicas = await Promise.all([startRedisServer(replicaArguments), startRedisServer(replicaArguments)])
    const sentinels: NodeAddress[] = []
    const processes: ChildProcess[] = []
    for (let n = 0; n < 3; n++) {
      const port = await findFreePort()
      const config = join(directory, `${n}.conf`)
      const monitor = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${directory}`,
        `sentinel monitor jobs 127.0.0.1 ${master.port} 2`,
        // Longer than the second between two pings, or two attempts to connect: otherwise a master counts as dead as soon as it is one.
        'sentinel down-after-milliseconds jobs 2000',
        'sentinel failover-timeout jobs 4000',
        '',
      ]
      await writeFile(config, monitor.join('\n'))
      const child = spawn(findServerBinary() ?? 'redis-server', [config, '--sentinel'], { stdio: 'ignore' })
      child.unref()
      processes.push(child)
      sentinels.push({ host: '127.0.0.1', port })
    }
    const all = new RedisSentinels(sentinels, [master, ...replicas], processes, directory)
    process.once('exit', all.#killSentinels)
    await all.whole()
    return all
  }

  async master(): Promise<RedisServer> {
    for (const { port } of this.sentinels) {
      const server = await this.#masterBy(port)
      if (server !== undefined) return server
    }
    throw new Error('no Sentinel knows a master')
  }

  /** Kills the master, waits until the Sentinels have chosen another, and starts the dead one as its replica. */
  async failOver(tookOver: () => void = () => {}): Promise<void> {
    const dead = await this.master()
    await dead.kill()
    await untilSo('the Sentinels agree on another master', async () => {
      const chosen = await Promise.all(this.sentinels.map(({ port }) => this.#masterBy(port)))
      const [now] = chosen
      if (now === undefined || now === dead || chosen.some(one => one !== now)) return false
      return String(await askServer(now.port, 'INFO', 'replication')).includes('role:master')
    })
    tookOver()
    const { port } = await this.master()
    // Otherwise it would start as a master again, and clients with its old address would use it, until the Sentinels reconfigure it.
    await dead.start(['--replicaof', '127.0.0.1', String(port)])
    await this.whole()
  }

  /**
   * Waits until every Sentinel knows the others and is done with the last failover, and the master has both replicas. The leader of a failover
   * goes on with it until the master that it chose has all replicas; if that master dies before, the leader waits for it, and for no other.
   */
  async whole(): Promise<void> {
    await untilSo('the Sentinels agree', async () => {
      for (const { port } of this.sentinels) {
        const info = String(await askServer(port, 'INFO', 'sentinel'))
        if (!/status=ok,address=[^,]*,slaves=2,sentinels=3/.test(info)) return false
        const master = (await askServer(port, 'SENTINEL', 'MASTER', this.name)) as string[]
        if (master[master.indexOf('flags') + 1] !== 'master') return false
      }
      const { port } = await this.master()
      const info = String(await askServer(port, 'INFO', 'replication'))
      return info.includes('role:master') && info.includes('connected_slaves:2') && !info.includes('state=wait_bgsave')
    })
  }

  async stop(): Promise<void> {
    process.removeListener('exit', this.#killSentinels)
    this.#killSentinels()
    for (const child of this.#processes) {
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    await Promise.all(this.#servers.map(server => server.stop()))
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #masterBy(sentinelPort: number): Promise<RedisServer | undefined> {
    const answer = await askServer(sentinelPort, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.name)
    return this.#servers.find(one => String(one.port) === (answer as [string, string] | null)?.[1])
  }

  readonly #killSentinels = (): void => {
    for (const child of this.#processes) {
      child.ref()
      child.kill('SIGKILL')
    }
  }
}
