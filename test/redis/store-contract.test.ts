// The Redis store keeps the store contract.

import { storeContract } from '@dspinlock/core/store-contract'
import { redisStore } from '@dspinlock/redis'
import { redisUrl } from '../support/redis.js'

describe('store contract: Redis', () => {
  for (const one of storeContract) {
    it(one.name, () => one.run({ makeStore: () => redisStore(redisUrl(), { prefix: 'contract' }) }))
  }
})
