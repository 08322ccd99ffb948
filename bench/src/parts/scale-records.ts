// The same work beside 1,000 and beside 1,000,000 live records.

import type { Sample } from '../../report/dist/model.js'
import { attempt, type Context } from '../harness/context.js'
import { scaled, takePairs } from '../harness/pairs.js'
import { Remote } from '../harness/remote.js'
import type { KeeperSpec, Worked } from '../servers/keeper.js'

const FEW = 1_000
const MANY = 1_000_000
const OPERATIONS = { memory: 40_000, redis: 6_000, map: 40_000 } as const
const titles = { memory: 'memory', redis: 'Redis', map: 'no store, but a Map of the same names and bytes' } as const

/** Copies what is under a key, its name included, as often as asked: the server does in seconds what takes clients minutes. */
const COPY = `
for at = tonumber(ARGV[2]), tonumber(ARGV[3]) - 1 do
  local number = string.format('%08d', at)
  redis.call('COPY', KEYS[1], (string.gsub(KEYS[1], ARGV[1], number)))
end
return 1
`

export async function compareRecords(context: Context): Promise<void> {
  for (const store of ['memory', 'redis', 'map'] as const) {
    const id = `scale.records.${store}`
    await attempt(context, id, async () => {
      await context.redis.clear()
      const many = scaled(context.effort, MANY, 100_000)
      // Two databases of one server, so that clients find their own data and nothing of the others.
      const keepers = [0, 1].map(database =>
        Remote.start(
          'servers/keeper.js',
          { store, redisUrl: `${context.redis.url}/${database}` } satisfies KeeperSpec,
          {
            nodeOptions: ['--max-old-space-size=6000'],
          },
        ),
      )
      const [few, lots] = keepers as [Remote, Remote]
      try {
        await few.call('fill', { from: 0, to: FEW })
        await lots.call('fill', { from: 0, to: FEW })
        if (store === 'redis') await copyRecords(context, FEW, many)
        else await lots.call('fill', { from: FEW, to: many })
        const operations = scaled(context.effort, OPERATIONS[store], 2_000)
        const delays = new Map<Remote, number>()
        const run = (keeper: Remote, records: number) => async (): Promise<Sample> => {
          const { loopDelayP99Ms, ...sample } = await keeper.call<Worked>('work', { operations, records })
          delays.set(keeper, Math.max(delays.get(keeper) ?? 0, loopDelayP99Ms))
          return sample
        }
        const delayOf = (keeper: Remote): number => Math.round((delays.get(keeper) ?? 0) * 100) / 100
        for (const warmUp of [run(few, FEW), run(lots, many)]) {
          await warmUp()
          await warmUp()
        }
        delays.clear()
        const pairs = await takePairs(context.effort, run(few, FEW), run(lots, many))
        context.add({
          id,
          title: `${titles[store]}: ${many.toLocaleString('en')} live records`,
          baseline: `${FEW.toLocaleString('en')} live records`,
          group: 'New records and replays, in turn, beside many records',
          unit: 'operations/s',
          better: 'higher',
          pairs,
          facts: { records: many, loopDelayP99Ms: delayOf(lots), baselineLoopDelayP99Ms: delayOf(few) },
        })
      } finally {
        for (const keeper of keepers) await keeper.stop()
        await context.redis.clear()
      }
    })
  }
}

async function copyRecords({ redis }: Context, from: number, to: number): Promise<void> {
  const client = redis.client.duplicate({ db: 1 })
  try {
    const [, names] = await client.scan(0, 'MATCH', '*fill-00000000*', 'COUNT', 1_000_000, 'TYPE', 'string')
    const [name] = names
    if (name === undefined || names.length !== 1)
      throw new Error(`one record was looked for, and found: ${names.join()}`)
    const step = 50_000
    for (let at = from; at < to; at += step) {
      await client.eval(COPY, 1, name, '00000000', at, Math.min(to, at + step))
    }
  } finally {
    client.disconnect()
  }
}
