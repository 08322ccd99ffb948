// npm run torture -- --minutes N --seed S [--workers N] [--servers single|cluster|sentinel] [--client NAME]

import { parseArgs } from 'node:util'
import { type ClientName, clientNames } from '../../support/redis-clients.js'
import { describeResult, torture } from './torture.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    workers: { type: 'string', default: '6' },
    servers: { type: 'string', default: 'single' },
    client: { type: 'string' },
  },
})

function number(name: 'minutes' | 'seed' | 'workers'): number {
  const value = Number(values[name])
  if (Number.isFinite(value) && value > 0) return value
  throw new TypeError(`--${name} must be a number above 0, but is ${JSON.stringify(values[name])}`)
}

function oneOf<T extends string>(name: 'servers' | 'client', names: readonly T[]): T {
  const found = names.find(one => one === values[name])
  if (found !== undefined) return found
  throw new TypeError(`--${name} must be one of ${names.join(', ')}, but is ${JSON.stringify(values[name])}`)
}

const servers = oneOf('servers', ['single', 'cluster', 'sentinel'] as const)
const client: { client?: ClientName } = values.client === undefined ? {} : { client: oneOf('client', clientNames) }

const seed = number('seed')
console.log(`seed ${seed}`)
const result = await torture({ seed, seconds: number('minutes') * 60, workers: number('workers'), servers, ...client })
console.log(describeResult(result))
process.exitCode = result.breaches.length === 0 ? 0 : 1
