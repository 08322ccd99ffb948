// A nightly job as one would write it. Started twice by accident, it does its work once, and its steps one at a time.

import { setTimeout as delay } from 'node:timers/promises'
import { closeSpinlocks, HashDSpinlock } from '@dspinlock/core'

const redisParams = { url: process.env['REDIS_URL'] ?? 'redis://localhost:6379' }
const night = process.argv[2] ?? 'tonight'

const say = (line: string): void => console.log(`process ${process.pid}: ${line}`)

// Each in its turn: whoever comes second waits until the first has left the block.
for (let step = 1; step <= 3; step++) {
  const lock = await new HashDSpinlock({ night, account: 4711 }, { redisParams }).acquire()
  try {
    say(`begins step ${step} under fence ${lock.fence}`)
    await delay(30)
    say(`ends step ${step}`)
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

// Once for all: whoever comes second is given what the first one made.
const lock = new HashDSpinlock({ night, report: 'sales' }, { redisParams, cachedIfComputed: true, expireAtMs: 60_000 })
const report = await lock.run(async () => {
  say('computes the report')
  await delay(100)
  return { rows: 3, at: new Date(), by: process.pid }
})
say(`has the report of process ${report.by}, ${lock.cached ? 'found' : 'computed'}: ${report.rows} rows`)

await closeSpinlocks()
