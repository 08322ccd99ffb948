// The Redis of a run: starts it, and asks it what it did.

import { type LocalRedis, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'

/** How many commands clients sent, and how many ran inside scripts, which cost no round trip; each by name. */
export interface CommandCounts {
  readonly sent: Readonly<Record<string, number>>
  readonly inScripts: Readonly<Record<string, number>>
}

export class BenchRedis {
  readonly url: string
  readonly port: number
  readonly client: Redis
  readonly #server: LocalRedis

  private constructor(server: LocalRedis) {
    this.#server = server
    this.url = server.url
    this.port = server.port
    this.client = new Redis(server.url)
  }

  static async start(): Promise<BenchRedis> {
    return new BenchRedis(await startRedisServer())
  }

  async clear(): Promise<void> {
    await this.client.flushall()
  }

  /** CPU time that the server has used so far, in microseconds. */
  async cpuUs(): Promise<number> {
    const info = await this.client.info('cpu')
    const read = (name: string): number => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? Number.NaN)
    return (read('used_cpu_user') + read('used_cpu_sys')) * 1e6
  }

  /** The number of calls of each command since the last call, those inside scripts included, from INFO commandstats. */
  async commandCalls(): Promise<Record<string, number>> {
    const info = await this.client.info('commandstats')
    await this.client.config('RESETSTAT')
    const calls: Record<string, number> = {}
    for (const [, name = '', count] of info.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
      if (!OWN.has(name)) calls[name] = Number(count)
    }
    return calls
  }

  /** The commands that are sent while `work` goes on; MONITOR tells them apart from those of scripts, but is too costly for timed work. */
  async watchCommands(work: () => Promise<unknown>): Promise<CommandCounts> {
    const monitor = await this.client.monitor()
    const sent: Record<string, number> = {}
    const inScripts: Record<string, number> = {}
    monitor.on('monitor', (_time: string, args: string[], source: string) => {
      const name = (args[0] ?? '').toLowerCase()
      if (OWN.has(name)) return
      const counts = source === 'lua' ? inScripts : sent
      counts[name] = (counts[name] ?? 0) + 1
    })
    await work()
    // When the line of this command arrives, MONITOR has reported all commands that were sent before it.
    const mark = `bench-mark-${process.hrtime.bigint()}`
    const marked = new Promise<void>(resolve => {
      monitor.on('monitor', (_time: string, args: string[]) => {
        if (args[1] === mark) resolve()
      })
    })
    await this.client.echo(mark)
    await marked
    monitor.disconnect()
    return { sent, inScripts }
  }

  async version(): Promise<string> {
    return /redis_version:(\S+)/.exec(await this.client.info('server'))?.[1] ?? 'unknown'
  }

  async stop(): Promise<void> {
    this.client.disconnect()
    await this.#server.stop()
  }
}

/** Commands that the harness itself sends, or that a connection begins with. */
const OWN: ReadonlySet<string> = new Set([
  'info',
  'echo',
  'monitor',
  'config',
  'config|resetstat',
  'config|get',
  'flushall',
  'hello',
  'client',
  'client|setinfo',
  'client|setname',
  'client|id',
  'select',
])

export function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}
