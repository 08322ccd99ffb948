// Medians, quartiles and ratios, on numbers that can be checked by hand.

import { expect } from 'chai'
import type { Figure } from '#bench-report/model.js'
import { cpuRatioOf, isWide, quantile, ratioOf, summarise } from '#bench-report/statistics.js'

const figure = (pairs: Figure['pairs']): Figure => ({
  id: 'part.subject',
  title: 'subject',
  baseline: 'baseline',
  group: 'group',
  unit: 'requests/s',
  better: 'higher',
  pairs,
})

describe('statistics of the benchmarks', () => {
  it('take quartiles between samples', () => {
    expect(summarise([4, 1, 3, 2])).to.deep.equal({ median: 2.5, q1: 1.75, q3: 3.25, count: 4 })
    expect(quantile([7], 0.25)).to.equal(7)
    expect(Number.isNaN(quantile([], 0.5))).to.equal(true)
  })

  it('sort numbers as numbers, and leave the samples as they were', () => {
    const samples = [10, 9, 100]
    expect(quantile(samples, 0.5)).to.equal(10)
    expect(samples).to.deep.equal([10, 9, 100])
  })

  it('compare within each pair, not across: a machine that slows down halfway changes no ratio', () => {
    const pairs = [100, 50, 10].map(value => ({ baseline: { value }, subject: { value: value * 0.9 } }))
    const { median, q1, q3 } = ratioOf(figure(pairs))
    for (const ratio of [median, q1, q3]) expect(ratio).to.be.closeTo(0.9, 1e-9)
  })

  it('tell a spread that is too wide', () => {
    expect(isWide(summarise([0.95, 1, 1.05]))).to.equal(false)
    expect(isWide(summarise([0.8, 1, 1.2]))).to.equal(true)
  })

  it('have no ratio of CPU time where one side lacks it', () => {
    const pair = { baseline: { value: 1, cpuUs: 10 }, subject: { value: 1, cpuUs: 15 } }
    expect(cpuRatioOf(figure([pair]))?.median).to.equal(1.5)
    expect(cpuRatioOf(figure([pair, { baseline: { value: 1 }, subject: { value: 1, cpuUs: 15 } }]))).to.equal(undefined)
    expect(cpuRatioOf(figure([]))).to.equal(undefined)
  })
})
