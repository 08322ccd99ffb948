// A script with an engine on the given store, which it uses once and never closes. It prints the result, and has nothing more to do. Arguments: a URL,
// and `commandTimeoutMs`.

import { LockEngine, memoryStore } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'

const [url, commandTimeoutMs = 5_000] = process.argv.slice(2)
const store = url === undefined ? memoryStore() : redisStore(url, { commandTimeoutMs: Number(commandTimeoutMs) })
const engine = new LockEngine({ store })
engine
  .run('script', () => Promise.resolve('done'), { duplicates: 'replay', ttlMs: 60_000, leaseMs: 60_000 })
  .then(console.log, (error: NodeJS.ErrnoException) => console.log(error.code))
