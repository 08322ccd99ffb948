// One process of the exclusion test: for each "go", locks the value, checks whether it is alone, and reports the result.

import { closeSpinlocks, HashDSpinlock } from '@dspinlock/core'
import { createRedisConnection } from '@dspinlock/redis'

const [url = '', counter = ''] = process.argv.slice(2)
const watch = await createRedisConnection({ url })
await watch.ping()

async function round(): Promise<{ overlap: boolean; fence: number } | { error: string }> {
  try {
    // A new object each time, with its keys in another order in each process.
    const value = process.pid % 2 === 0 ? { name: counter, page: 1 } : { page: 1, name: counter }
    const lock = new HashDSpinlock(value, { redisParams: { url }, maxSpinlockTries: 100 })
    await lock.acquire()
    const fence = lock.fence ?? 0
    const inside = await watch.incr(counter)
    await watch.decr(counter)
    await lock.release()
    return { overlap: inside !== 1, fence }
  } catch (error) {
    return { error: (error as Error).message }
  }
}

process.on('message', () => void round().then(outcome => process.send?.(outcome)))
process.on('disconnect', () => {
  watch.disconnect()
  void closeSpinlocks()
})
process.send?.('ready')
