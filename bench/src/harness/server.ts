// A server under measurement, and the load on it.

import type { Profile, Sample } from '../../report/dist/model.js'
import type { LoadOrder, LoadReport } from '../load/main.js'
import type { RequestShape } from '../load/request.js'
import type { ServerSpec, Usage } from '../servers/spec.js'
import type { BenchRedis } from './redis.js'
import { Remote } from './remote.js'

export class Server {
  readonly port: number
  readonly #remote: Remote

  private constructor(remote: Remote, port: number) {
    this.#remote = remote
    this.port = port
  }

  static async start(spec: ServerSpec, nodeOptions: readonly string[] = []): Promise<Server> {
    const remote = Remote.start('servers/main.js', spec, { nodeOptions })
    try {
      return new Server(remote, await remote.call<number>('port'))
    } catch (error) {
      await remote.stop()
      throw error
    }
  }

  usage(collect = false): Promise<Usage> {
    return this.#remote.call('usage', { collect })
  }

  /** Heap and external memory after a garbage collection, in bytes; the server runs with --expose-gc. */
  async memory(): Promise<number> {
    const { heapUsed, external } = await this.usage(true)
    return heapUsed + external
  }

  /** The functions with the most self time while `work` goes on. */
  async profile(work: () => Promise<unknown>): Promise<Profile['top']> {
    await this.#remote.call('startProfile')
    await work()
    return this.#remote.call('stopProfile')
  }

  stop(): Promise<void> {
    return this.#remote.stop()
  }
}

export interface Work {
  readonly shape: RequestShape
  readonly connections: number
  readonly requests: number
  readonly run: string
  /** The status that every answer has to have. */
  readonly status: number
}

export interface Loaded {
  readonly sample: Sample
  readonly runs: number
  readonly loopDelayP99Ms: number
  readonly report: LoadReport
}

/** Sends `work`, and returns requests per second, with their cost for the server and Redis. */
export async function putLoad(load: Remote, server: Server, redis: BenchRedis, work: Work): Promise<Loaded> {
  const { status, ...order } = work
  const before = await server.usage()
  const redisBefore = await redis.cpuUs()
  const report = await load.call<LoadReport>('load', { ...order, port: server.port } satisfies LoadOrder)
  const redisAfter = await redis.cpuUs()
  const after = await server.usage()
  if (report.statuses[status] !== work.requests) {
    throw new Error(`expected ${work.requests} times ${status}, but got ${JSON.stringify(report.statuses)}`)
  }
  return {
    sample: {
      value: work.requests / report.seconds,
      cpuUs: (after.cpuUs - before.cpuUs) / work.requests,
      redisCpuUs: (redisAfter - redisBefore) / work.requests,
    },
    runs: after.runs - before.runs,
    loopDelayP99Ms: after.loopDelayP99Ms,
    report,
  }
}
