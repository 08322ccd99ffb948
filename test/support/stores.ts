// The stores that behaviours are tested on: the one in memory, and a real Redis.

import { randomUUID } from 'node:crypto'
import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { redisUrl } from './redis.js'

export const storeKinds: readonly (readonly [name: string, makeStore: () => Store])[] = [
  ['memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `test-${randomUUID()}` })],
]
