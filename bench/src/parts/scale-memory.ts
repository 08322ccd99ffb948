// The memory of a waiter compared with that of its request, and of a record compared with that of its response.

import { setTimeout as delay } from 'node:timers/promises'
import type { Pair } from '../../report/dist/model.js'
import { attempt, type Context } from '../harness/context.js'
import { Remote } from '../harness/remote.js'
import { Server } from '../harness/server.js'
import type { BurstOrder } from '../load/main.js'
import type { KeeperSpec } from '../servers/keeper.js'
import type { ServerSpec } from '../servers/spec.js'

const WAITERS = 900
const RECORDS = 10_000
const RECORD_BYTES = 1_024

export async function weighWaiters(context: Context, load: Remote): Promise<void> {
  const id = 'scale.memory.waiter'
  await attempt(context, id, async () => {
    const bare: ServerSpec = { framework: 'express', redisUrl: context.redis.url }
    const options = { duplicates: 'serialise' }
    const guarded: ServerSpec = { ...bare, guard: { by: 'dspinlock', store: 'memory', place: 'route', options } }
    const pairs: Pair[] = []
    while (pairs.length < context.effort.pairs) {
      const baseline = { value: await weighRequest(load, bare) }
      pairs.push({ baseline, subject: { value: await weighRequest(load, guarded) } })
    }
    context.add({
      id,
      title: 'a request that waits for its turn',
      baseline: 'a request whose handler has not answered yet',
      group: 'Memory for each request, with its connection',
      unit: 'bytes',
      better: 'lower',
      pairs,
      facts: { waiters: WAITERS },
    })
  })
}

/** Equal requests: without a guard, all are in the handler; with one, one is, and the others wait. */
async function weighRequest(load: Remote, spec: ServerSpec): Promise<number> {
  const server = await Server.start(spec, ['--expose-gc'])
  try {
    const hold = async (requests: number, run: string): Promise<void> => {
      const shape = { method: 'GET', path: '/hang', bodyBytes: 0, names: 1 } as const
      await load.call('hold', { ports: [server.port], requests, shape, run } satisfies BurstOrder)
      // Waits until all have arrived and nothing more happens.
      let last = -1
      for (let now = await server.memory(); Math.abs(now - last) > 2_000; now = await server.memory()) {
        last = now
        await delay(100)
      }
    }
    // What is made once, at the first request, does not count as part of any request.
    await hold(50, 'first')
    const before = await server.memory()
    await hold(WAITERS, 'second')
    return ((await server.memory()) - before) / WAITERS
  } finally {
    await load.call('letGo')
    await server.stop()
  }
}

export async function weighRecords(context: Context): Promise<void> {
  for (const store of ['memory', 'redis'] as const) {
    const id = `scale.memory.record.${store}`
    await attempt(context, id, async () => {
      const spec: KeeperSpec = { store, redisUrl: context.redis.url }
      const keeper = Remote.start('servers/keeper.js', spec, { nodeOptions: ['--expose-gc'] })
      const pairs: Pair[] = []
      try {
        const weigh = store === 'memory' ? weighInProcess : weighInRedis
        await weigh(context, keeper)
        while (pairs.length < context.effort.pairs) {
          const { bare, kept } = await weigh(context, keeper)
          pairs.push({ baseline: { value: bare }, subject: { value: kept } })
        }
      } finally {
        await keeper.stop()
      }
      context.add({
        id,
        title: store === 'memory' ? 'a record in the memory store' : 'a record in Redis',
        baseline: store === 'memory' ? 'the same bytes in a Map' : 'the same bytes by SET PX',
        group: `Memory for each record of ${RECORD_BYTES} bytes, with its key`,
        unit: 'bytes',
        better: 'lower',
        pairs,
        facts: { recordBytes: RECORD_BYTES },
      })
    })
  }
}

interface Weights {
  readonly bare: number
  readonly kept: number
}

async function weighInProcess(_context: Context, keeper: Remote): Promise<Weights> {
  const order = { count: RECORDS, bytes: RECORD_BYTES }
  const { map, store } = await keeper.call<{ map: number; store: number }>('weighRecords', order)
  return { bare: map, kept: store }
}

async function weighInRedis({ redis }: Context, keeper: Remote): Promise<Weights> {
  const used = async (): Promise<number> => Number(/used_memory:(\d+)/.exec(await redis.client.info('memory'))?.[1])
  await redis.clear()
  const empty = await used()
  const value = Buffer.alloc(RECORD_BYTES, 7)
  for (let from = 0; from < RECORDS; from += 1_000) {
    const pipeline = redis.client.pipeline()
    for (let at = from; at < from + 1_000; at++) {
      pipeline.set(`bench:{=${`fill-${String(at).padStart(8, '0')}`.padEnd(43, '-')}}`, value, 'PX', 3_600_000)
    }
    await pipeline.exec()
  }
  const bare = ((await used()) - empty) / RECORDS
  await redis.clear()
  const cleared = await used()
  await keeper.call('fill', { from: 0, to: RECORDS, bytes: RECORD_BYTES })
  const kept = ((await used()) - cleared) / RECORDS
  await redis.clear()
  return { bare, kept }
}
