// A process that locks once on a Redis and has nothing else to do.

import { HashDSpinlock } from '@dspinlock/core'

await new HashDSpinlock('once', { redisParams: { url: process.argv[2] ?? '' } }).run(() => undefined)
process.stdout.write('done')
