// Stores that are broken on purpose, to show that the checker notices.

import { setTimeout as delay } from 'node:timers/promises'
import type { Store } from '@dspinlock/core'
import { Redis } from 'ioredis'
import { storeWith } from '../../support/engine.js'
import { makeHolder } from '../../support/redis-state.js'
import { stateOf } from './stores.js'

export const defects = ['no-renewal', 'no-owner-check', 'non-atomic-claim'] as const
export type Defect = (typeof defects)[number]

/** `url` is that of the same Redis. */
export function breakStore(store: Store, defect: Defect, url: string): { store: Store; close: () => void } {
  const redis = new Redis(url, { maxRetriesPerRequest: 0 })
  redis.on('error', () => {})
  const changes: Record<Defect, Partial<Store>> = {
    // Says that it renewed, but did not.
    'no-renewal': { renew: async () => true },
    // Makes the one that settles the holder first.
    'no-owner-check': {
      settle: async request => {
        const inAMinute = Date.now() + 60_000
        await makeHolder(redis, stateOf(request.key), request.token, inAMinute)
        return store.settle(request)
      },
    },
    // Looks first, and takes a key that it saw free in a second step.
    'non-atomic-claim': {
      claim: async request => {
        const seen = await store.inspect(request.key)
        if (seen?.state === 'held') return store.claim(request)
        await delay(20)
        await redis.del(stateOf(request.key))
        return store.claim(request)
      },
    },
  }
  return { store: storeWith(changes[defect], store), close: () => redis.disconnect() }
}
