// The short torture run again, with each client that the store takes, and on servers that clients find by themselves.

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
}

/** A test for each; two run at a time, because a run waits more than it works. */
function standsEach(torments: readonly Torment[]): void {
  for (let at = 0; at < torments.length; at += 2) {
    const pair = torments.slice(at, at + 2)
    const resultOf = atOnce(pair.map(one => () => torture(one.options)))
    for (const [n, { what, kinds }] of pair.entries()) {
      it(what, async function () {
        this.timeout(120_000)
        const result = await resultOf(n)
        expect(result.breaches, describeResult(result)).to.deep.equal([])
        for (const kind of kinds) expect(result.faults.get(kind), kind).to.be.at.least(1)
        expect(result.counts.holds, describeResult(result)).to.be.above(30)
      })
    }
  }
}

describe('torture, through', () => {
  standsEach(
    clientNames
      // The client for a URL is ioredis 6, which torture.test.ts uses.
      .filter(name => name !== 'ioredis')
      .map(client => ({
        what: client,
        options: { seed: 21, seconds: 8, workers: 4, everyMs: 380, client },
        kinds: faultKinds,
      })),
  )
})

describe('torture, on', () => {
  const options = { seed: 22, seconds: 10, workers: 4, everyMs: 700 }
  standsEach([
    {
      what: 'a cluster whose masters die and whose slots migrate',
      options: { ...options, servers: 'cluster' },
      kinds: clusterFaultKinds,
    },
    {
      what: 'a master that Sentinels replace',
      options: { ...options, servers: 'sentinel' },
      kinds: sentinelFaultKinds,
    },
    {
      what: 'a master that Sentinels replace, through node-redis',
      options: { ...options, servers: 'sentinel', client: 'node-redis' },
      kinds: sentinelFaultKinds,
    },
  ])
})
