// npm run torture -- --minutes N --seed S [--workers N] [--client NAME]

import { parseArgs } from 'node:util'
import { type ClientName, clientNames } from './stores.js'
import { describeResult, torture } from './torture.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    workers: { type: 'string', default: '6' },
    client: { type: 'string', default: 'ioredis' },
  },
})

function number(name: 'minutes' | 'seed' | 'workers'): number {
  const value = Number(values[name])
  if (Number.isFinite(value) && value > 0) return value
  throw new TypeError(`--${name} must be a number above 0, but is ${JSON.stringify(values[name])}`)
}

const client = values.client as ClientName
if (!clientNames.includes(client)) throw new TypeError(`--client must be one of ${clientNames.join(', ')}`)

const seed = number('seed')
console.log(`seed ${seed}`)
const result = await torture({ seed, seconds: number('minutes') * 60, workers: number('workers'), client })
console.log(describeResult(result))
process.exitCode = result.breaches.length === 0 ? 0 : 1
