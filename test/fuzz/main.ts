// npm run fuzz -- --seed S [--seconds N] [--requests N]

import { parseArgs } from 'node:util'
import { requireLocalRedis } from 'dspinlock-local-redis'
import { fuzz } from './fuzz.js'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    requests: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})

function number(name: 'seconds' | 'requests' | 'seed'): number {
  const value = Number(values[name])
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new TypeError(`--${name} must be a whole number above 0, but is ${JSON.stringify(values[name])}`)
}

const options = { seed: number('seed'), seconds: number('seconds'), requests: number('requests') }
// Printed first, so that the run can be repeated however it ends.
console.log(`seed ${options.seed}`)
const redis = await requireLocalRedis()
try {
  const { breaches, conversations, compared, replays, refusals } = await fuzz({ ...options, redisUrl: redis.url })
  console.log(
    `${conversations} conversations, ${compared} responses compared, ${replays} replays, ${refusals} refusals`,
  )
  console.log(breaches.length === 0 ? 'no breach' : `${breaches.length} breaches\n${breaches.join('\n')}`)
  process.exitCode = breaches.length === 0 ? 0 : 1
} finally {
  await redis.stop()
}
