// A process that ends its Redis client although it still holds a lock, and has nothing else to do.

import { HashDSpinlock } from '@dspinlock/core'
import { Redis } from 'ioredis'

const redis = new Redis(process.argv[2] ?? '')
await new HashDSpinlock('held', { redis, leaseMs: 30_000 }).acquire()
await redis.quit()
process.stdout.write('ended')
