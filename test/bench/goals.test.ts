// Whether a goal is met, by how much it is missed, and which of the others is the best.

import { expect } from 'chai'
import { type Goal, judge } from '#bench-report/goals.js'
import { readMetric } from '#bench-report/metrics.js'
import type { Figure } from '#bench-report/model.js'

const figure = (id: string, ratio: number, facts: Figure['facts'] = {}): Figure => ({
  id,
  title: id,
  baseline: 'bare',
  group: 'group',
  unit: 'requests/s',
  better: 'higher',
  pairs: [1, 2, 3].map(() => ({
    baseline: { value: 100, cpuUs: 10 },
    subject: { value: 100 * ratio, cpuUs: 10 / ratio },
  })),
  facts,
})
const known = (...figures: Figure[]): Map<string, Figure> => new Map(figures.map(one => [one.id, one]))

describe('goals of the benchmarks', () => {
  const rate: Goal = { title: 'rate', figures: ['a', 'b'], metric: 'ratio', goal: { atLeast: 0.9 }, others: ['x', 'y'] }

  it('are met by the worst of our figures, or not at all', () => {
    expect(judge(rate, known(figure('a', 0.95), figure('b', 0.92))).verdict).to.equal('met')
    const missed = judge(rate, known(figure('a', 0.95), figure('b', 0.81)))
    expect([missed.verdict, missed.figure?.id]).to.deep.equal(['missed', 'b'])
    expect(missed.missedBy).to.be.closeTo(0.1, 1e-9)
  })

  it('are not met by figures that were not measured', () => {
    expect(judge(rate, known(figure('a', 0.95))).verdict).to.equal('not measured')
  })

  it('show the best of the others: the highest rate, the fewest commands', () => {
    const figures = known(
      figure('a', 1),
      figure('b', 1),
      figure('x', 0.5, { commands: 2 }),
      figure('y', 0.7, { commands: 9 }),
    )
    expect(judge(rate, figures).bestOther?.title).to.equal('y')
    const commands: Goal = { ...rate, metric: 'fact:commands', goal: { atMost: 3 } }
    expect(judge(commands, figures).bestOther?.title).to.equal('x')
  })

  it('show what there is to reach: the same of what does nothing else, or what the baseline takes', () => {
    const bounded: Goal = { ...rate, bound: { figure: 'least', metric: 'ratio' } }
    const figures = known(figure('a', 1), figure('b', 1), figure('least', 1.3, { recordBytes: 40 }))
    expect(judge(rate, figures).bound).to.equal(undefined)
    expect(judge(bounded, figures).bound).to.deep.include({ title: 'least' })
    expect(judge(bounded, figures).bound?.summary.median).to.equal(1.3)
    const ofBaseline = judge({ ...rate, bound: { figure: 'least', metric: 'baselineOverhead' } }, figures).bound
    expect(ofBaseline).to.deep.include({ title: 'bare' })
    expect(ofBaseline?.summary.median).to.equal(60)
  })

  it('of none at all are missed by what there is', () => {
    const none: Goal = { title: 'failures', figures: ['a'], metric: 'fact:failures', goal: { atMost: 0 } }
    expect(judge(none, known(figure('a', 1, { failures: '0 of 50' }))).verdict).to.equal('met')
    const missed = judge(none, known(figure('a', 1, { failures: '3 of 50' })))
    expect([missed.verdict, missed.missedBy]).to.deep.equal(['missed', 3])
  })

  it('read what a figure has: cost, difference, what a record takes beyond its own bytes', () => {
    const half = figure('a', 0.5, { recordBytes: 40 })
    expect(readMetric(half, 'cost')?.median).to.equal(2)
    expect(readMetric(half, 'excess')?.median).to.equal(-50)
    expect(readMetric(half, 'cpuExcessUs')?.median).to.equal(10)
    expect(readMetric(half, 'overhead')?.median).to.equal(10)
    expect(readMetric(half, 'fact:nothing')).to.equal(undefined)
  })
})
