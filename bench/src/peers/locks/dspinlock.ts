// dspinlock's engine, by `enter` and `release`.

import { LockEngine } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import type { LockLibrary } from './library.js'

export const dspinlock: LockLibrary = {
  name: 'dspinlock',
  package: '@dspinlock/redis',
  async open(client) {
    const engine = new LockEngine({ store: redisStore(client), maxWaitersPerKey: 10_000 })
    return {
      async acquire(key) {
        const entry = await engine.enter(key)
        if (entry.role !== 'holder') throw new Error(`not the holder but ${entry.role}`)
        return () => entry.hold.release()
      },
    }
  },
}
