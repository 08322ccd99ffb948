// Packages stay small, and an import costs only what it uses.

import { expect } from 'chai'
import { describeWeight, weigh, weights } from './sizes.js'

describe('sizes of packages', () => {
  for (const weight of weights) {
    it(weight.what, async () => {
      const weighed = await weigh(weight)
      console.log(`      ${describeWeight(weighed)}`)
      expect(weighed.minified).to.be.above(1_000)
      if (weight.limit !== undefined) expect(weighed.compressed).to.be.below(weight.limit)
    })
  }

  it('an import of the engine alone does not include HashDSpinlock', async () => {
    const engine = await weigh({ what: '', code: `export { LockEngine } from '@dspinlock/core'` })
    const all = await weigh({ what: '', code: `export * from '@dspinlock/core'` })
    expect(engine.compressed).to.be.below(all.compressed / 1.5)
  })
})
