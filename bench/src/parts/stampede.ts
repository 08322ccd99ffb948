// 200 duplicates of a slow request at the same moment, over one, two and four processes.

import type { Sample } from '../../report/dist/model.js'
import { quantile } from '../../report/dist/statistics.js'
import { attempt, type Context, type Part } from '../harness/context.js'
import { scaled, takePairs } from '../harness/pairs.js'
import { findObstacle, nginx, type Proxy, startFront, varnish, versionOf } from '../harness/proxies.js'
import { total } from '../harness/redis.js'
import { Remote } from '../harness/remote.js'
import { Server } from '../harness/server.js'
import type { BurstOrder, LoadReport } from '../load/main.js'
import { alternatives } from '../peers/middleware/index.js'
import type { OwnGuard, PeerGuard } from '../servers/spec.js'

const DUPLICATES = 200
/** Bursts before the measurement, because in a server that has been up for a while the code is compiled. */
const WARM_UP_BURSTS = 20
const PROCESSES = [1, 2, 4] as const

/** The servers that answer the burst: one or more processes, perhaps guarded, perhaps behind a proxy. */
interface Subject {
  readonly id: string
  readonly title: string
  readonly guard?: OwnGuard | PeerGuard
  readonly proxy?: Proxy
}

interface Running {
  readonly ports: readonly number[]
  readonly servers: readonly Server[]
  stop(): Promise<void>
}

interface Burst {
  readonly sample: Sample
  readonly runs: number
  readonly statuses: Readonly<Record<string, number>>
  readonly loopDelayP99Ms: number
}

const own = (store: 'memory' | 'redis'): OwnGuard => ({
  by: 'dspinlock',
  store,
  place: 'route',
  options: { duplicates: 'replay', ttlMs: 60_000 },
})

const bare: Subject = { id: 'bare', title: 'bare Express' }
const guarded: readonly Subject[] = [
  { id: 'dspinlock', title: 'dspinlock, Redis', guard: own('redis') },
  ...alternatives.map(
    ({ name }): Subject => ({
      id: name,
      title: `${name}, Redis`,
      guard: { by: name, store: 'redis' },
    }),
  ),
]

export const stampede: Part = {
  name: 'stampede',
  about: '200 duplicates of a handler of 100 ms at once, over 1, 2 and 4 processes; nginx and Varnish beside',
  packages: [
    '@dspinlock/core',
    '@dspinlock/http',
    '@dspinlock/redis',
    '@dspinlock/express',
    'express',
    'ioredis',
    ...alternatives.flatMap(subject => subject.packages),
  ],
  async measure(context) {
    const proxies = [varnish, nginx].flatMap((proxy): Subject[] => {
      const obstacle = findObstacle(proxy)
      if (obstacle === undefined) {
        context.noteVersion(proxy.name, versionOf(proxy))
        return [{ id: proxy.binary, title: `${proxy.name}, in front of bare Express`, proxy }]
      }
      context.leaveOut(proxy.name, obstacle)
      return []
    })
    // The others are compared with the best solution outside of the process.
    const [baseline = bare] = proxies
    const load = Remote.start('load/main.js', undefined)
    try {
      for (const processes of PROCESSES) {
        const memory: Subject[] =
          processes === 1 ? [{ id: 'dspinlock-memory', title: 'dspinlock, memory', guard: own('memory') }] : []
        const others = proxies.filter(proxy => proxy !== baseline)
        const subjects = [...memory, ...guarded, ...others, ...(baseline === bare ? [] : [bare])]
        for (const subject of [baseline, ...subjects]) await compare(context, load, processes, baseline, subject)
      }
    } finally {
      await load.stop()
    }
  },
}

async function compare(
  context: Context,
  load: Remote,
  processes: number,
  baseline: Subject,
  subject: Subject,
): Promise<void> {
  const isNoise = subject === baseline
  const id = `stampede.${processes}.${isNoise ? 'noise' : subject.id}`
  await attempt(context, id, async () => {
    await context.redis.clear()
    const running: Running[] = []
    try {
      for (const one of [baseline, subject]) running.push(await start(context, one, processes))
      const [first, second] = running as [Running, Running]
      const taken: Burst[] = []
      const burstOf = (target: Running) => async (): Promise<Burst> => burst(load, target)
      for (const target of running) {
        for (let time = 0; time < scaled(context.effort, WARM_UP_BURSTS, 2); time++) await burstOf(target)()
      }
      const pairs = await takePairs(
        context.effort,
        async () => (await burstOf(first)()).sample,
        async () => {
          const one = await burstOf(second)()
          taken.push(one)
          return one.sample
        },
      )
      const counts = await context.redis.watchCommands(burstOf(second))
      context.add({
        id,
        title: isNoise ? `${subject.title}, against itself (noise)` : subject.title,
        baseline: baseline.title,
        group: `${DUPLICATES} duplicates at once, ${processes} ${processes === 1 ? 'process' : 'processes'}`,
        unit: 'ms',
        better: 'lower',
        pairs,
        facts: {
          runs: quantile(
            taken.map(({ runs }) => runs),
            0.5,
          ),
          statuses: describeStatuses(taken),
          otherStatuses: taken.reduce((sum, { statuses }) => sum + DUPLICATES - (statuses[200] ?? 0), 0),
          commands: total(counts.sent),
          loopDelayP99Ms: Math.round(Math.max(...taken.map(({ loopDelayP99Ms }) => loopDelayP99Ms))),
        },
      })
    } finally {
      for (const one of running) await one.stop()
    }
  })
}

async function start({ redis }: Context, { guard, proxy }: Subject, processes: number): Promise<Running> {
  const servers = await Promise.all(
    Array.from({ length: processes }, () =>
      Server.start({ framework: 'express', redisUrl: redis.url, ...(guard === undefined ? {} : { guard }) }),
    ),
  )
  const stopServers = async (): Promise<void> => {
    await Promise.all(servers.map(server => server.stop()))
  }
  const ports = servers.map(({ port }) => port)
  if (proxy === undefined) return { ports, servers, stop: stopServers }
  try {
    const front = await startFront(proxy, ports)
    return {
      ports: [front.port],
      servers,
      stop: async () => {
        await front.stop()
        await stopServers()
      },
    }
  } catch (error) {
    await stopServers()
    throw error
  }
}

let bursts = 0

async function burst(load: Remote, { ports, servers }: Running): Promise<Burst> {
  const usage = () => Promise.all(servers.map(server => server.usage()))
  const runsOf = (used: Awaited<ReturnType<typeof usage>>): number => used.reduce((sum, { runs }) => sum + runs, 0)
  const before = await usage()
  const report = await load.call<LoadReport>('burst', {
    ports,
    requests: DUPLICATES,
    shape: { method: 'GET', path: '/report', bodyBytes: 0, names: 1 },
    run: `burst${++bursts}`,
  } satisfies BurstOrder)
  const after = await usage()
  return {
    sample: { value: report.seconds * 1_000 },
    runs: runsOf(after) - runsOf(before),
    statuses: report.statuses,
    loopDelayP99Ms: Math.max(...after.map(({ loopDelayP99Ms }) => loopDelayP99Ms)),
  }
}

/** The statuses of all bursts together: `200 × 1400`. */
function describeStatuses(taken: readonly Burst[]): string {
  const counts = new Map<string, number>()
  for (const { statuses } of taken) {
    for (const [status, count] of Object.entries(statuses)) counts.set(status, (counts.get(status) ?? 0) + count)
  }
  return [...counts].map(([status, count]) => `${count} × ${status}`).join(', ')
}
