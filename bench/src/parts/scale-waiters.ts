// What one waiter's turn costs if it waits alone, among thousands for one key, and beside thousands of keys.

import type { Sample } from '../../report/dist/model.js'
import { attempt, type Context } from '../harness/context.js'
import { scaled, takePairs } from '../harness/pairs.js'
import { Remote } from '../harness/remote.js'
import type { KeeperSpec } from '../servers/keeper.js'

const MANY = 10_000

export async function compareWaiters(context: Context): Promise<void> {
  for (const store of ['memory', 'redis'] as const) {
    for (const shape of ['one-key', 'many-keys'] as const) {
      const id = `scale.waiters.${store}.${shape}`
      await attempt(context, id, async () => {
        await context.redis.clear()
        const spec: KeeperSpec = { store, redisUrl: context.redis.url }
        const keeper = Remote.start('servers/keeper.js', spec, { nodeOptions: ['--expose-gc'] })
        try {
          const many = scaled(context.effort, MANY, 1_000)
          const order = shape === 'one-key' ? { keys: 1, waiters: many } : { keys: many, waiters: 1 }
          const single = (): Promise<Sample> =>
            keeper.call('drainSingly', { times: scaled(context.effort, 1_000, 200) })
          const drain = async (): Promise<Sample> => {
            await keeper.call('queue', order)
            return keeper.call<Sample>('drain', { waiters: many })
          }
          for (const warmUp of [single, drain, single, drain]) await warmUp()
          context.add({
            id,
            title: `${store === 'memory' ? 'memory' : 'Redis'}: ${many.toLocaleString('en')} waiters, ${shape === 'one-key' ? 'one key' : 'each on a key of its own'}`,
            baseline: 'one waiter, one key',
            group: 'Time for each waiter to get its turn and end it',
            unit: 'µs',
            better: 'lower',
            pairs: await takePairs(context.effort, single, drain),
            facts: { waiters: many },
          })
        } finally {
          await keeper.stop()
        }
      })
    }
  }
}
