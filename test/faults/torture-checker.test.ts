// The torture with stores that are broken on purpose: its checker notices each of them.

import { expect } from 'chai'
import { atOnce } from '../support/at-once.js'
import { describeResult, torture } from './rig/torture.js'

describe('the checker of the torture', () => {
  const broken = [
    { defect: 'no-renewal', breach: 'overlap', without: 'renewals', callers: 6, everyMs: 250 },
    {
      defect: 'no-owner-check',
      breach: 'stale-settle',
      without: 'the owner check of settle',
      callers: 6,
      everyMs: 250,
    },
    // With few callers, because a key that many wait for is handed on and never found free, and with few that are stopped, because two have to
    // look at a key in the same moment.
    { defect: 'non-atomic-claim', breach: 'overlap', without: 'an atomic claim', callers: 2, everyMs: 2_000 },
  ] as const

  /** Undefined once the breach was told of; otherwise what was told instead. */
  const tryOut = async ({ defect, breach, callers, everyMs }: (typeof broken)[number]): Promise<string | undefined> => {
    const options = {
      seconds: 6,
      workers: 4,
      callers,
      leaseMs: 250,
      longShare: 0.3,
      kinds: ['stop worker'],
      everyMs,
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
