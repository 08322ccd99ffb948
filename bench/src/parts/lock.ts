// Acquire and release without contention, one after another and 64 at once, compared with the two commands that it takes.

import type { Sample } from '../../report/dist/model.js'
import { attempt, type Context, type Part, wantedProfiles } from '../harness/context.js'
import { scaled, takePairs, warmedBy } from '../harness/pairs.js'
import { total } from '../harness/redis.js'
import { Remote } from '../harness/remote.js'
import { alternatives, dspinlock, rawPair, twoPings, twoScripts } from '../peers/locks/index.js'
import type { LockLibrary } from '../peers/locks/library.js'
import type { Rounds } from '../servers/locker.js'

interface Way {
  readonly id: string
  readonly group: string
  readonly width: number
  /** Operations of each of them in a sample. */
  readonly rounds: number
}

const ways: readonly Way[] = [
  { id: 'sequential', group: 'Acquire and release, one after another', width: 1, rounds: 3_000 },
  { id: 'at-once', group: 'Acquire and release, 64 at once on different keys', width: 64, rounds: 120 },
]

/** Libraries that are no packages, with what they are called here. */
const floors: ReadonlyMap<LockLibrary, string> = new Map([
  [rawPair, 'noise'],
  [twoScripts, 'scripts'],
  [twoPings, 'ping'],
])

/** How many pairs of commands are watched: enough to see that all are the same. */
const WATCHED = 20

export const lock: Part = {
  name: 'lock',
  about: 'acquire and release without contention, sequential and 64 at once',
  packages: ['@dspinlock/core', '@dspinlock/redis', 'ioredis', ...alternatives.map(library => library.package)],
  async measure(context) {
    const compared = [rawPair, dspinlock, twoScripts, twoPings, ...alternatives]
    for (const way of ways) for (const library of compared) await compare(context, way, library)
    const wanted = wantedProfiles(
      context,
      ways.map(way => `lock.${way.id}.dspinlock`),
    )
    for (const way of ways.filter(({ id }) => wanted.includes(`lock.${id}.dspinlock`))) {
      await attempt(context, `lock.${way.id}.dspinlock`, () => profile(context, way))
    }
  },
}

async function compare(context: Context, way: Way, library: LockLibrary): Promise<void> {
  const { redis, effort } = context
  const isNoise = library === rawPair
  const id = `lock.${way.id}.${floors.get(library) ?? library.package.replace('@dspinlock/redis', 'dspinlock')}`
  await attempt(context, id, async () => {
    await redis.clear()
    const process = Remote.start('servers/locker.js', undefined)
    try {
      await process.call('connect', redis.url)
      const rounds = scaled(effort, way.rounds, 20)
      const run = async (name: string, count: number): Promise<Sample> => {
        const before = await redis.cpuUs()
        const sample = await process.call<Sample>('run', {
          library: name,
          width: way.width,
          rounds: count,
        } satisfies Rounds)
        return { ...sample, redisCpuUs: ((await redis.cpuUs()) - before) / (count * way.width) }
      }
      // The warm-up has more operations than the few that are measured: until the compiler has seen both, it is what would be measured.
      for (const name of [rawPair.name, library.name, rawPair.name, library.name])
        await run(name, warmedBy(effort, way.rounds * 2))
      const pairs = await takePairs(
        effort,
        () => run(rawPair.name, rounds),
        () => run(library.name, rounds),
      )
      const counts = await redis.watchCommands(() =>
        process.call('run', { library: library.name, width: 1, rounds: WATCHED } satisfies Rounds),
      )
      context.add({
        id,
        title: isNoise ? 'raw pair against itself (noise)' : library.name,
        baseline: rawPair.name,
        group: way.group,
        unit: 'locks/s',
        better: 'higher',
        pairs,
        facts: {
          commands: total(counts.sent) / WATCHED,
          publishes: ((counts.sent['publish'] ?? 0) + (counts.inScripts['publish'] ?? 0)) / WATCHED,
        },
      })
    } finally {
      await process.stop()
    }
  })
}

/** Profiles in a separate run, because the profiler costs time. */
async function profile(context: Context, { id, width, rounds }: Way): Promise<void> {
  const process = Remote.start('servers/locker.js', undefined)
  try {
    await process.call('connect', context.redis.url)
    const run = (count: number): Promise<Sample> =>
      process.call('run', { library: dspinlock.name, width, rounds: count } satisfies Rounds)
    await run(rounds)
    await process.call('startProfile')
    await run(scaled(context.effort, rounds * 5, 20))
    context.addProfile({ of: `lock.${id}.dspinlock`, top: await process.call('stopProfile') })
  } finally {
    await process.stop()
  }
}
