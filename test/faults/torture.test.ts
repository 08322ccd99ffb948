// A short torture run of the Redis store, always with the same faults, that breaks no promise. `npm run torture` runs it for longer.

import { expect } from 'chai'
import { atOnce } from '../support/at-once.js'
import { faultKinds } from './rig/injector.js'
import { describeResult, torture } from './rig/torture.js'

describe('torture', () => {
  it('breaks no promise while processes die, stall and are cut off, and Redis restarts, forgets and fails over', async function () {
    this.timeout(90_000)
    const result = await torture({ seed: 20, seconds: 30, workers: 5, everyMs: 500 })
    expect(result.breaches, describeResult(result)).to.deep.equal([])
    for (const kind of faultKinds) expect(result.faults.get(kind), kind).to.be.at.least(1)
    expect(result.counts.holds, describeResult(result)).to.be.above(300)
  })
})

describe('the checker of the torture', () => {
  const broken = [
    { defect: 'no-renewal', breach: 'overlap', without: 'renewals', callers: 6 },
    { defect: 'no-owner-check', breach: 'stale-settle', without: 'the owner check of settle', callers: 6 },
    // With few callers, because a key that many wait for is handed on and never found free.
    { defect: 'non-atomic-claim', breach: 'overlap', without: 'an atomic claim', callers: 1 },
  ] as const

  /** Undefined once the breach was told of; otherwise what was told instead. */
  const tryOut = async ({ defect, breach, callers }: (typeof broken)[number]): Promise<string | undefined> => {
    const options = {
      seconds: 6,
      workers: 4,
      callers,
      leaseMs: 250,
      longShare: 0.3,
      kinds: ['stop worker'],
      everyMs: 250,
    } as const
    const told: string[] = []
    // Whether a defect shows depends on timing, so a busy machine may need another try.
    for (let seed = 1; seed <= 5; seed++) {
      const result = await torture({ seed, ...options, defect })
      if (result.breaches.some(({ name }) => name === breach)) return undefined
      told.push(describeResult(result))
    }
    return `never told of ${breach}:\n${told.join('\n')}`
  }
  const outcomeOf = atOnce(broken.map(one => () => tryOut(one)))

  for (const [n, { without }] of broken.entries()) {
    it(`notices a store without ${without}`, async function () {
      this.timeout(150_000)
      expect(await outcomeOf(n)).to.equal(undefined)
    })
  }
})
