// A short run of the fuzzer: hostile clients get the same answers with dspinlock as without it, and leave nothing behind.

import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'
import { testSeed } from '../support/seed.js'
import { fuzz } from './fuzz.js'

describe('hostile requests', () => {
  it('crash nothing, hang nothing, leave no lock, and are answered as without dspinlock', async () => {
    const seed = testSeed
    const result = await fuzz({ seed, requests: 250, seconds: 10, redisUrl: redisUrl() })
    expect(result.breaches, `seed ${seed}\n${result.breaches.join('\n')}`).to.deep.equal([])
    expect(result.compared, 'responses that were compared').to.be.above(100)
    expect(result.replays, 'replays among them').to.be.above(20)
  }).timeout(40_000)
})
