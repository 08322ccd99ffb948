// A process of the fairness tests: enters a key when told to, once or repeatedly, and reports when and under which fence it held the key.

import { setTimeout as delay } from 'node:timers/promises'
import { LockEngine } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'

export interface Order {
  readonly key: string
  /** 0: one turn; otherwise one turn after another for this long. */
  readonly forMs: number
  readonly holdMs: number
  /** How often to poll, besides being woken. */
  readonly pollMs: number
}

export interface Report {
  /** The fence of the first turn. */
  readonly fence: number
  readonly turns: number
}

const store = redisStore(process.env['TEST_REDIS_URL'] ?? '')
const engine = new LockEngine({ store })

async function work({ key, forMs, holdMs, pollMs }: Order): Promise<Report> {
  const until = performance.now() + forMs
  let turns = 0
  let first = 0
  do {
    await engine.run(
      key,
      async ({ fence = 0 }) => {
        if (turns++ === 0) first = fence
        await delay(holdMs)
      },
      { leaseMs: 60_000, waitMs: 60_000, pollMs },
    )
  } while (performance.now() < until)
  return { fence: first, turns }
}

process.on('message', (order: Order) => void work(order).then(report => process.send?.(report)))
process.once('disconnect', () => process.exit())
// It is ready when messages arrive.
store.open(wake => {
  if (wake.kind === 'resync') process.send?.('ready')
})
