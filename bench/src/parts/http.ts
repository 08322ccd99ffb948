// What a request costs: each middleware against the same app without it, under load from another process.

import { type Comparison, compareServers, profileServer } from '../harness/compare-servers.js'
import { attempt, type Part, wantedProfiles } from '../harness/context.js'
import { Remote } from '../harness/remote.js'
import { alternatives, notInstalled } from '../peers/middleware/index.js'
import { type Case, cases } from './http-cases.js'

/** Enough connections to keep a server busy, few enough to leave the second core to Redis. */
const LOAD = { connections: 32, requests: 4_000, warmUp: 30_000, takes: 'rate' } as const
/** How many processes of each server are measured for ours and for what there is to reach; alternatives differ by more than processes do. */
const PROCESSES = 3

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
      const comparisons = cases.map(one => compare(one, context.redis.url))
      for (const comparison of comparisons) await compareServers(context, load, comparison)
      const ours = cases.filter(one => one.isOurs).map(({ id }) => id)
      const wanted = wantedProfiles(context, ours)
      for (const comparison of comparisons.filter(({ id }) => wanted.includes(id))) {
        await attempt(context, comparison.id, () => profileServer(context, load, comparison))
      }
    } finally {
      await load.stop()
    }
  },
}

function compare(one: Case, redisUrl: string): Comparison {
  const { id, title, group, shape, status, framework, guard, least, requests = LOAD.requests } = one
  const baseline = { framework, redisUrl }
  return {
    ...LOAD,
    requests,
    id,
    title,
    group,
    shape,
    status,
    processes: guard?.by === 'dspinlock' || guard === undefined ? PROCESSES : 1,
    baselineTitle: `bare ${framework}`,
    baseline,
    subject: {
      ...baseline,
      ...(guard === undefined ? {} : { guard }),
      ...(least === undefined ? {} : { least }),
    },
    reachHandler: one.isReplay ? 'none' : 'all',
  }
}
