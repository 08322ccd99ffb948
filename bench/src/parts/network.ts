// A Redis across a network: the same work through a proxy that makes each round trip take 1 ms or 10 ms.

import { quantile } from '../../report/dist/statistics.js'
import { type Comparison, compareServers } from '../harness/compare-servers.js'
import { attempt, type Context, type Part } from '../harness/context.js'
import { scaled, takePairs } from '../harness/pairs.js'
import { Remote } from '../harness/remote.js'
import { dspinlock, twoPings } from '../peers/locks/index.js'
import type { Rounds } from '../servers/locker.js'
import type { OwnGuard } from '../servers/spec.js'

const ROUND_TRIPS_MS = [0, 1, 10] as const

const requests = [
  { id: 'unique', title: 'unique keys', names: undefined },
  { id: 'replay', title: 'replays', names: 512 },
] as const

export const network: Part = {
  name: 'network',
  about: 'a Redis that is 1 ms and 10 ms away',
  packages: ['@dspinlock/core', '@dspinlock/http', '@dspinlock/redis', '@dspinlock/express', 'express', 'ioredis'],
  async measure(context) {
    for (const roundTripMs of ROUND_TRIPS_MS) {
      const proxy = Remote.start('harness/delay-proxy.js', undefined)
      const load = Remote.start('load/main.js', undefined)
      try {
        const { port } = context.redis
        const through = roundTripMs === 0 ? port : await proxy.call<number>('open', { target: port, roundTripMs })
        const url = `redis://127.0.0.1:${through}`
        await compareLock(context, roundTripMs, url)
        for (const request of requests) await compareRequest(context, load, roundTripMs, url, request)
      } finally {
        await Promise.all([proxy.stop(), load.stop()])
      }
    }
  },
}

const placeOf = (roundTripMs: number): string =>
  roundTripMs === 0 ? 'Redis on the same machine' : `Redis ${roundTripMs} ms away`

/** Two PINGs through the same proxy show how far away it really is. */
async function compareLock(context: Context, roundTripMs: number, url: string): Promise<void> {
  const id = `network.${roundTripMs}.lock`
  await attempt(context, id, async () => {
    await context.redis.clear()
    const process = Remote.start('servers/locker.js', undefined)
    try {
      await process.call('connect', url)
      const rounds = scaled(context.effort, roundTripMs === 10 ? 40 : 300, 10)
      const run = async (library: string) => {
        const { value, ...cpu } = await process.call<{ value: number; cpuUs: number }>('run', {
          library,
          width: 1,
          rounds,
        } satisfies Rounds)
        return { ...cpu, value: 1_000 / value }
      }
      for (const { name } of [twoPings, dspinlock]) await run(name)
      const pairs = await takePairs(
        context.effort,
        () => run(twoPings.name),
        () => run(dspinlock.name),
      )
      const pingMs = quantile(
        pairs.map(({ baseline }) => baseline.value / 2),
        0.5,
      )
      context.add({
        id,
        title: 'acquire and release',
        baseline: 'two PINGs',
        group: placeOf(roundTripMs),
        unit: 'ms',
        better: 'lower',
        pairs,
        facts: { pingMs: Math.round(pingMs * 100) / 100 },
      })
    } finally {
      await process.stop()
    }
  })
}

async function compareRequest(
  context: Context,
  load: Remote,
  roundTripMs: number,
  redisUrl: string,
  { id, title, names }: (typeof requests)[number],
): Promise<void> {
  const guard: OwnGuard = {
    by: 'dspinlock',
    store: 'redis',
    place: 'route',
    options: { duplicates: 'replay', ttlMs: 600_000 },
  }
  const baseline = { framework: 'express', redisUrl } as const
  const common = {
    group: placeOf(roundTripMs),
    baselineTitle: 'bare express',
    baseline,
    subject: { ...baseline, guard },
    shape: { method: 'POST', path: '/orders', bodyBytes: 256, ...(names === undefined ? {} : { names }) },
    status: 200,
    reachHandler: names === undefined ? 'all' : 'none',
  } as const
  const comparisons: readonly Comparison[] = [
    {
      ...common,
      id: `network.${roundTripMs}.${id}.latency`,
      title: `a request, ${title}, one at a time`,
      connections: 1,
      requests: roundTripMs === 10 ? 40 : 300,
      warmUp: 4_000,
      takes: 'latency',
    },
    {
      ...common,
      id: `network.${roundTripMs}.${id}.rate`,
      title: `requests for each second, ${title}, 256 at a time`,
      // So many that the server is busy although each waits for Redis.
      connections: 256,
      requests: 2_000,
      warmUp: 12_000,
      takes: 'rate',
    },
  ]
  for (const comparison of comparisons) await compareServers(context, load, comparison)
}
