// Compares two servers that differ in one thing, under the same load in turn, and shows where the second one spends its time.

import type { Pair } from '../../report/dist/model.js'
import type { RequestShape } from '../load/request.js'
import type { ServerSpec } from '../servers/spec.js'
import { attempt, type Context } from './context.js'
import { scaled, takePairs, warmedBy } from './pairs.js'
import { total } from './redis.js'
import type { Remote } from './remote.js'
import { type Loaded, putLoad, Server, type Work } from './server.js'

export interface Comparison {
  readonly id: string
  readonly title: string
  readonly group: string
  /** What the baseline is called, for people. */
  readonly baselineTitle: string
  readonly baseline: ServerSpec
  readonly subject: ServerSpec
  readonly shape: RequestShape
  /** The status that every answer has to have. */
  readonly status: number
  /** The number of requests of a sample. */
  readonly requests: number
  readonly connections: number
  /** The warm-up, in requests. V8 takes some ten thousand calls of a function to compile it. */
  readonly warmUp: number
  /** Requests per second of a server that is kept busy, or the time that one request takes, in milliseconds. */
  readonly takes: 'rate' | 'latency'
  /** How many processes of each are measured, one after another (default 1). Processes that run the same code differ for as long as they live. */
  readonly processes?: number
  /** Whether all of the subject's requests reach the handler, or none; a replay that runs the handler is no replay. */
  readonly reachHandler: 'all' | 'none'
}

/** How many requests are watched by MONITOR. */
const WATCHED = 50
/** The number of requests in a run under the profiler. */
const PROFILED = 20_000

let runNumber = 0

export function compareServers(context: Context, load: Remote, one: Comparison): Promise<void> {
  return attempt(context, one.id, () => compare(context, load, one))
}

/** What is known of the requests of all processes. */
interface Seen {
  readonly baseline: Loaded[]
  readonly subject: Loaded[]
  commands: number
}

async function compare(context: Context, load: Remote, one: Comparison): Promise<void> {
  const { effort } = context
  const requests = scaled(effort, one.requests, Math.min(one.requests, 200))
  const processes = Math.min(one.processes ?? 1, effort.pairs)
  const pairsEach = Math.ceil(effort.pairs / processes)
  const seen: Seen = { baseline: [], subject: [], commands: 0 }
  const pairs: Pair[] = []
  let watched = 0
  for (let started = 0; started < processes; started++) {
    await withServers(context, load, one, async (baseline, subject) => {
      const sampleOf = (server: Server, side: 'baseline' | 'subject') => async () => {
        const loaded = await putLoad(load, server, context.redis, workOf(one, requests))
        seen[side].push(loaded)
        const { sample, report } = loaded
        return one.takes === 'rate' ? sample : { ...sample, value: report.latencyMs.median }
      }
      await context.redis.commandCalls()
      const taken = await takePairs(
        { ...effort, pairs: pairsEach },
        sampleOf(baseline, 'baseline'),
        sampleOf(subject, 'subject'),
      )
      pairs.push(...taken)
      seen.commands += total(await context.redis.commandCalls())
      const { sent } = await context.redis.watchCommands(() =>
        putLoad(load, subject, context.redis, { ...workOf(one, WATCHED), connections: 1 }),
      )
      watched = total(sent)
    })
  }
  const asked = pairs.length * requests
  const runs = seen.subject.reduce((sum, loaded) => sum + loaded.runs, 0)
  if (runs !== (one.reachHandler === 'all' ? asked : 0)) {
    throw new Error(`${one.id}: the handler ran ${runs} times for ${asked} requests`)
  }
  const highest = (side: 'baseline' | 'subject', of: (loaded: Loaded) => number): number =>
    round(Math.max(...seen[side].map(of)))
  context.add({
    id: one.id,
    title: one.title,
    baseline: one.baselineTitle,
    group: one.group,
    unit: one.takes === 'rate' ? 'requests/s' : 'ms',
    better: one.takes === 'rate' ? 'higher' : 'lower',
    pairs,
    facts: {
      commands: watched / WATCHED,
      commandsInAll: round(seen.commands / asked),
      loopDelayP99Ms: highest('subject', loaded => loaded.loopDelayP99Ms),
      baselineLoopDelayP99Ms: highest('baseline', loaded => loaded.loopDelayP99Ms),
      loadShare: highest('subject', ({ report }) => report.cpuSeconds / report.seconds),
    },
  })
}

/** Starts one process of each, warms both up, and stops them when `work` is done. */
async function withServers(
  { effort, redis }: Context,
  load: Remote,
  one: Comparison,
  work: (baseline: Server, subject: Server) => Promise<void>,
): Promise<void> {
  await redis.clear()
  const servers: Server[] = []
  try {
    for (const spec of [one.baseline, one.subject]) servers.push(await Server.start(spec))
    const warmUp = warmedBy(effort, one.warmUp)
    for (const server of servers) {
      // Names of its own for each: where both are guarded by one Redis, the second server's requests would be duplicates of the first one's.
      await putLoad(load, server, redis, { ...workOf(one, warmUp), connections: Math.max(32, one.connections) })
    }
    const [baseline, subject] = servers as [Server, Server]
    await work(baseline, subject)
  } finally {
    for (const server of servers) await server.stop()
  }
}

/** Profiles in a separate run, because the profiler costs time. */
export async function profileServer(context: Context, load: Remote, one: Comparison): Promise<void> {
  await context.redis.clear()
  const server = await Server.start(one.subject)
  try {
    const put = (requests: number) => putLoad(load, server, context.redis, workOf(one, requests))
    await put(one.warmUp)
    const top = await server.profile(() => put(scaled(context.effort, PROFILED, 2_000)))
    context.addProfile({ of: one.id, top })
  } finally {
    await server.stop()
  }
}

function workOf(one: Comparison, requests: number): Work {
  const { shape, connections, status } = one
  // If requests take turns at names, all samples use the same names, so that all requests but the first ones are replays.
  return { shape, connections, requests, status, run: shape.names === undefined ? `u${++runNumber}` : 'again' }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
