// What a request costs: each middleware against the same app without it, loaded from another process.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Context, isWanted, type Part } from '../harness/context.js'
import { scaled, takePairs } from '../harness/pairs.js'
import { topFunctions } from '../harness/profile.js'
import { total } from '../harness/redis.js'
import { Remote } from '../harness/remote.js'
import { putLoad, Server, type Work } from '../harness/server.js'
import { alternatives, notInstalled } from '../peers/middleware/index.js'
import type { ServerSpec } from '../servers/spec.js'
import { type Case, cases } from './http-cases.js'

const CONNECTIONS = 32
/** In a sample. */
const REQUESTS = 4_000
/** Before anything counts: the compiler is done with a server of this size after some thousands. */
const WARM_UP = 6_000
/** How many requests are watched by MONITOR. */
const WATCHED = 50
/** In a run under the profiler. */
const PROFILED = 20_000

export const http: Part = {
  name: 'http',
  about: 'a request through each middleware against the same app without it: Express, Koa, Nest',
  packages: [
    '@dspinlock/core',
    '@dspinlock/http',
    '@dspinlock/redis',
    '@dspinlock/express',
    '@dspinlock/koa',
    '@dspinlock/nestjs',
    'express',
    'koa',
    '@koa/router',
    '@koa/bodyparser',
    '@nestjs/core',
    'ioredis',
    ...alternatives.flatMap(subject => subject.packages),
  ],
  async measure(context) {
    for (const { what, why } of notInstalled) context.leaveOut(what, why)
    const load = Remote.start('load/main.js', undefined)
    try {
      for (const one of cases) {
        if (!isWanted(context, one.id)) continue
        context.say(one.id)
        await compare(context, load, one)
        if (context.profile && one.isOurs) await profile(context, load, one)
      }
    } finally {
      await load.stop()
    }
  },
}

function workOf(one: Case, requests: number, run: string): Work {
  return { shape: one.shape, connections: CONNECTIONS, requests, run, status: one.status }
}

async function compare(context: Context, load: Remote, one: Case): Promise<void> {
  const { effort, redis } = context
  await redis.clear()
  const bare: ServerSpec = { framework: one.framework, redisUrl: redis.url }
  const servers: Server[] = []
  try {
    for (const spec of [bare, one.guard === undefined ? bare : { ...bare, guard: one.guard }]) {
      servers.push(await Server.start(spec))
    }
    const [baseline, subject] = servers as [Server, Server]
    let number = 0
    // Where names are taken in turn, all samples ask for the same ones, so that all but the first are replays.
    const nextRun = (): string => (one.shape.names === undefined ? `${one.id.length}u${++number}` : 'again')
    const warmUp = scaled(effort, WARM_UP, 2_000)
    for (const server of servers) await putLoad(load, server, redis, workOf(one, warmUp, nextRun()))
    await redis.commandCalls()
    const requests = scaled(effort, REQUESTS, 500)
    let runs = 0
    let loadShare = 0
    const sampleOf = (server: Server) => async () => {
      const loaded = await putLoad(load, server, redis, workOf(one, requests, nextRun()))
      if (server === subject) runs += loaded.runs
      loadShare = Math.max(loadShare, loaded.report.cpuSeconds / loaded.report.seconds)
      return loaded.sample
    }
    const pairs = await takePairs(effort, sampleOf(baseline), sampleOf(subject))
    const asked = pairs.length * requests
    const calls = await redis.commandCalls()
    if (one.guard !== undefined && runs !== (one.isReplay ? 0 : asked)) {
      throw new Error(`${one.id}: the handler ran ${runs} times for ${asked} requests`)
    }
    const watched = await redis.watchCommands(async () => {
      await putLoad(load, subject, redis, { ...workOf(one, WATCHED, nextRun()), connections: 1 })
    })
    context.add({
      id: one.id,
      title: one.title,
      baseline: `bare ${one.framework}`,
      group: one.group,
      unit: 'requests/s',
      better: 'higher',
      pairs,
      facts: {
        commands: total(watched.sent) / WATCHED,
        commandsInAll: round(total(calls) / asked),
        loadShare: round(loadShare),
      },
    })
  } finally {
    for (const server of servers) await server.stop()
  }
}

/** In a run of its own: the profiler costs time. */
async function profile(context: Context, load: Remote, one: Case): Promise<void> {
  if (one.guard === undefined) return
  const folder = mkdtempSync(join(tmpdir(), 'dspinlock-profile-'))
  try {
    await context.redis.clear()
    const server = await Server.start({ framework: one.framework, redisUrl: context.redis.url, guard: one.guard }, [
      '--cpu-prof',
      `--cpu-prof-dir=${folder}`,
    ])
    try {
      await putLoad(load, server, context.redis, workOf(one, scaled(context.effort, PROFILED, 2_000), 'profile'))
    } finally {
      await server.stop()
    }
    context.addProfile({ of: one.id, top: topFunctions(folder, 12) })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
