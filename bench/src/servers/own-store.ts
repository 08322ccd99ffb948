// dspinlock's stores, for the servers under measurement.

import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { Redis } from 'ioredis'
import type { OwnGuard } from './spec.js'

export async function openStore({ store, localCache }: OwnGuard, redisUrl: string): Promise<Store> {
  if (store === 'memory') return memoryStore()
  return redisStore(new Redis(redisUrl), localCache === undefined ? {} : { localCache })
}
