// A process that holds a lock until it is killed.

import { HashDSpinlock } from '@dspinlock/core'

const [url = '', value = ''] = process.argv.slice(2)
const lock = await new HashDSpinlock(value, { redisParams: { url }, leaseMs: 500 }).acquire()
process.send?.(lock.fence)
