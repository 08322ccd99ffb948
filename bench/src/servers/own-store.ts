// dspinlock's stores, for the servers under measurement.

import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { Redis } from 'ioredis'
import type { StoreKind } from '../peers/middleware/subject.js'

export async function openStore(kind: StoreKind, redisUrl: string): Promise<Store> {
  return kind === 'memory' ? memoryStore() : redisStore(new Redis(redisUrl))
}
