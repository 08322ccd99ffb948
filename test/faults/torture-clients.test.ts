// The short torture run again, with each client that the store takes, and on servers that clients find by themselves.

import { expect } from 'chai'
import { clientNames } from '../support/redis-clients.js'
import { clusterFaultKinds, faultKinds, sentinelFaultKinds } from './rig/injector.js'
import { describeResult, torture } from './rig/torture.js'

describe('torture, through', () => {
  // The client for a URL is ioredis 6, which torture.test.ts uses.
  for (const client of clientNames.filter(name => name !== 'ioredis')) {
    it(client, async function () {
      this.timeout(60_000)
      const result = await torture({ seed: 21, seconds: 8, workers: 4, everyMs: 380, client })
      expect(result.breaches, describeResult(result)).to.deep.equal([])
      for (const kind of faultKinds) expect(result.faults.get(kind), kind).to.be.at.least(1)
      expect(result.counts.holds, describeResult(result)).to.be.above(30)
    })
  }
})

describe('torture, on', () => {
  for (const [servers, what, kinds, client] of [
    ['cluster', 'a cluster whose masters die and whose slots migrate', clusterFaultKinds, 'ioredis'],
    ['sentinel', 'a master that Sentinels replace', sentinelFaultKinds, 'ioredis'],
    ['sentinel', 'a master that Sentinels replace, through node-redis', sentinelFaultKinds, 'node-redis'],
  ] as const) {
    it(what, async function () {
      this.timeout(120_000)
      const result = await torture({ seed: 22, seconds: 10, workers: 4, everyMs: 700, servers, client })
      expect(result.breaches, describeResult(result)).to.deep.equal([])
      for (const kind of kinds) expect(result.faults.get(kind), kind).to.be.at.least(1)
      expect(result.counts.holds, describeResult(result)).to.be.above(30)
    })
  }
})
