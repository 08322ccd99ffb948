// A script with an engine on the given store, which it uses once and never closes. It prints the result, and has nothing more to do.

import { LockEngine, memoryStore } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'

const url = process.argv[2]
const store = url === undefined ? memoryStore() : redisStore(url, { commandTimeoutMs: 500 })
const engine = new LockEngine({ store })
engine
  .run('script', () => Promise.resolve('done'), { duplicates: 'replay', ttlMs: 60_000, leaseMs: 60_000 })
  .then(console.log, (error: NodeJS.ErrnoException) => console.log(error.code))
