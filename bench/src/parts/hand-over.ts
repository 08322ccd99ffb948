// The time from one process releasing a key to another process having it: with one waiter, with 50, and what waiting costs.

import { setTimeout as delay } from 'node:timers/promises'
import type { Sample } from '../../report/dist/model.js'
import { quantile } from '../../report/dist/statistics.js'
import { attempt, type Context, type Part } from '../harness/context.js'
import { scaled, takePairs, warmedBy } from '../harness/pairs.js'
import { total } from '../harness/redis.js'
import { Remote } from '../harness/remote.js'
import { alternatives, dspinlock, redisSemaphore } from '../peers/locks/index.js'
import type { LockLibrary } from '../peers/locks/library.js'
import type { Drain } from '../servers/locker.js'

/** Hand-overs in a sample; with libraries that poll, each takes a hundred milliseconds. */
const HAND_OVERS = 8
/** Hand-overs, or messages, before any sample. V8 takes that many to compile what one of them calls, which a few a second would never reach. */
const WARM_UP = 3_000
/** How many hand-overs of the warm-up are under way at once, because libraries that poll would take minutes otherwise. */
const WARM_UP_WIDTH = 30
const WAITERS = 50
const libraries: readonly LockLibrary[] = [dspinlock, ...alternatives]

/** The least that a hand-over by message can do: the message, and a script that sends it. `call` is for the process that would be the holder. */
interface Floor {
  readonly id: string
  readonly title: string
  readonly call: 'publish' | 'publishByScript'
}
const bare: Floor = { id: 'noise', title: 'PUBLISH against itself (noise)', call: 'publish' }
const byScript: Floor = { id: 'script', title: 'a script that only sends the message', call: 'publishByScript' }
const floors: readonly Floor[] = [bare, byScript]

/** The pause between what begins a hand-over and what ends it. */
type Wait = () => Promise<void>

export const handOver: Part = {
  name: 'hand-over',
  about: 'from one process letting go of a key to another having it: one waiter, 50 waiters, commands',
  packages: ['@dspinlock/core', '@dspinlock/redis', 'ioredis', ...alternatives.map(library => library.package)],
  async measure(context) {
    const { url } = context.redis
    const holder = Remote.start('servers/locker.js', undefined)
    const waiter = Remote.start('servers/locker.js', undefined)
    try {
      await Promise.all([holder, waiter].map(process => process.call('connect', url)))
      await waiter.call('listen')
      const both = { holder, waiter }
      for (const subject of [...floors, ...libraries]) await compareOne(context, both, subject)
      for (const library of [redisSemaphore, ...libraries.filter(other => other !== redisSemaphore)]) {
        await compareMany(context, both, library)
      }
    } finally {
      await Promise.all([holder.stop(), waiter.stop()])
    }
  },
}

interface Both {
  readonly holder: Remote
  readonly waiter: Remote
}

let keys = 0
const nextKey = (): string => `hand-over:${++keys}`
const nameOf = (library: LockLibrary): string => library.package.replace('@dspinlock/redis', 'dspinlock')

async function compareOne(context: Context, both: Both, compared: LockLibrary | Floor): Promise<void> {
  const isFloor = 'call' in compared
  const id = `hand-over.one.${isFloor ? compared.id : nameOf(compared)}`
  await attempt(context, id, async () => {
    const count = scaled(context.effort, HAND_OVERS, 3)
    const floor = (): Promise<Sample> => medianOf(count, () => sendMessage(both, bare, pause))
    const measure = (wait: Wait): Promise<number> =>
      isFloor ? sendMessage(both, compared, wait) : handOverOnce(both, compared, wait)
    const subject = (): Promise<Sample> => medianOf(count, () => measure(pause))
    const warmUp = warmedBy(context.effort, WARM_UP)
    await sendMany(both, bare, warmUp)
    if (isFloor) await sendMany(both, compared, warmUp)
    else await handOverMany(both, compared, warmUp)
    const pairs = await takePairs(context.effort, floor, subject)
    context.add({
      id,
      title: isFloor ? compared.title : compared.name,
      baseline: 'a bare PUBLISH to another process',
      group: 'Hand-over to one waiter in another process',
      unit: 'ms',
      better: 'lower',
      pairs,
      ...(isFloor ? {} : { facts: await countCommands(context, both, compared) }),
    })
  })
}

async function medianOf(count: number, measure: () => Promise<number>): Promise<Sample> {
  const taken: number[] = []
  while (taken.length < count) taken.push(await measure())
  return { value: quantile(taken, 0.5) }
}

/** The time in milliseconds, on the clock that all processes of a machine share. */
async function sendMessage({ holder, waiter }: Both, { call }: Floor, wait: Wait): Promise<number> {
  await waiter.call('expectMessage')
  await wait()
  const calledAt = await holder.call<bigint>(call)
  return Number((await waiter.call<bigint>('heardAt')) - calledAt) / 1e6
}

async function handOverOnce({ holder, waiter }: Both, library: LockLibrary, wait: Wait): Promise<number> {
  const key = nextKey()
  await holder.call('acquire', { library: library.name, key })
  await waiter.call('wait', { library: library.name, key })
  await wait()
  const calledAt = await holder.call<bigint>('release', key)
  return Number((await waiter.call<bigint>('turn', key)) - calledAt) / 1e6
}

async function sendMany(both: Both, floor: Floor, count: number): Promise<void> {
  for (let time = 0; time < count; time++) await sendMessage(both, floor, async () => {})
}

/** Some of the libraries give up waiting now and then, which is nothing to a warm-up. */
async function handOverMany(both: Both, library: LockLibrary, count: number): Promise<void> {
  for (let done = 0; done < count; done += WARM_UP_WIDTH) {
    await Promise.allSettled(Array.from({ length: WARM_UP_WIDTH }, () => handOverOnce(both, library, blink)))
  }
}

/** Waits long enough for waiters to be in their queues. */
function blink(): Promise<void> {
  return delay(10)
}

/** Like `blink`, but of a different length each time, so that no library's polling keeps in step with it. */
function pause(): Promise<void> {
  return delay(30 + Math.random() * 40)
}

async function countCommands(
  { redis }: Context,
  { holder, waiter }: Both,
  library: LockLibrary,
): Promise<Record<string, number | string>> {
  const key = nextKey()
  await holder.call('acquire', { library: library.name, key })
  const waiting = await redis.watchCommands(async () => {
    await waiter.call('wait', { library: library.name, key })
    await delay(1_000)
  })
  let gaveUp = false
  const handing = await redis.watchCommands(async () => {
    await holder.call('release', key)
    await waiter.call('turn', key).catch(() => {
      gaveUp = true
    })
  })
  return {
    commandsWaitingOneSecond: total(waiting.sent),
    ...(gaveUp ? { gaveUp: 'within 1 s' } : { commandsForHandOver: total(handing.sent) }),
  }
}

async function compareMany(context: Context, both: Both, library: LockLibrary): Promise<void> {
  const isNoise = library === redisSemaphore
  const id = `hand-over.many.${isNoise ? 'noise' : nameOf(library)}`
  await attempt(context, id, async () => {
    const waiters = WAITERS
    let failures = 0
    const drain = async ({ name }: LockLibrary): Promise<Sample> => {
      const key = nextKey()
      await both.holder.call('acquire', { library: name, key })
      await both.waiter.call('queue', { library: name, key, waiters })
      await pause()
      const calledAt = await both.holder.call<bigint>('release', key)
      const drained = await both.waiter.call<Drain>('drained')
      if (name === library.name) failures += drained.failures
      return { value: Number(drained.endedAt - calledAt) / 1e6 }
    }
    await drain(library)
    failures = 0
    const pairs = await takePairs(
      context.effort,
      () => drain(redisSemaphore),
      () => drain(library),
    )
    const tried = waiters * context.effort.pairs * (isNoise ? 2 : 1)
    const failureShare = `${failures} of ${tried}`
    const counts = await context.redis.watchCommands(() => drain(library))
    context.add({
      id,
      title: isNoise ? 'redis-semaphore against itself (noise)' : library.name,
      baseline: 'redis-semaphore',
      group: 'Hand-over to 50 waiters in another process, until all had their turn',
      unit: 'ms',
      better: 'lower',
      pairs,
      // The first lock, and then those of the 50.
      facts: { failures: failureShare, commandsEach: Math.round((total(counts.sent) / (waiters + 1)) * 10) / 10 },
    })
  })
}
