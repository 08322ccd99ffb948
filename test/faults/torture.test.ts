// Short torture runs of the Redis store, always with the same faults, that break no promise: a longer one with the client that the store makes
// for an address, then with each client, and on servers that clients find by themselves. `npm run torture` runs them for longer.

import { expect } from 'chai'
import { atOnce } from '../support/at-once.js'
import { clientNames } from '../support/redis-clients.js'
import { clusterFaultKinds, type FaultKind, faultKinds, sentinelFaultKinds } from './rig/injector.js'
import { describeResult, type TortureOptions, torture } from './rig/torture.js'

interface Torment {
  readonly what: string
  readonly options: TortureOptions
  /** The faults of which each must have been injected. */
  readonly kinds: readonly FaultKind[]
  readonly holds: number
}

const alone: Torment = {
  what: 'breaks no promise while processes die, stall and are cut off, and Redis restarts, forgets and fails over',
  options: { seed: 20, seconds: 30, workers: 5, everyMs: 500 },
  kinds: faultKinds,
  holds: 300,
}

const throughClients: readonly Torment[] = clientNames
  // The client for a URL is ioredis 6, which the first one uses.
  .filter(name => name !== 'ioredis')
  .map(client => ({
    what: client,
    options: { seed: 21, seconds: 8, workers: 4, everyMs: 380, client },
    kinds: faultKinds,
    holds: 30,
  }))

const options = { seed: 22, seconds: 10, workers: 4, everyMs: 700 }
const onServers: readonly Torment[] = [
  {
    what: 'a master that Sentinels replace, through node-redis',
    options: { ...options, servers: 'sentinel', client: 'node-redis' },
    kinds: sentinelFaultKinds,
    holds: 30,
  },
  {
    what: 'a master that Sentinels replace',
    options: { ...options, servers: 'sentinel' },
    kinds: sentinelFaultKinds,
    holds: 30,
  },
  {
    what: 'a cluster whose masters die and whose slots migrate',
    options: { ...options, servers: 'cluster' },
    kinds: clusterFaultKinds,
    holds: 30,
  },
]

const all = [alone, ...onServers, ...throughClients]
// A run waits more than it works, and has processes and servers of its own. The longest begin first, so that none is left to run by itself.
const resultOf = atOnce(
  all.map(one => () => torture(one.options)),
  3,
)

function standsEach(torments: readonly Torment[]): void {
  for (const torment of torments) {
    const { what, kinds, holds } = torment
    it(what, async function () {
      this.timeout(180_000)
      const result = await resultOf(all.indexOf(torment))
      expect(result.breaches, describeResult(result)).to.deep.equal([])
      for (const kind of kinds) expect(result.faults.get(kind), kind).to.be.at.least(1)
      expect(result.counts.holds, describeResult(result)).to.be.above(holds)
    })
  }
}

describe('torture', () => standsEach([alone]))
describe('torture, on', () => standsEach(onServers))
describe('torture, through', () => standsEach(throughClients))
