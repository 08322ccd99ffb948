// Bars are in proportion, the best one is marked, and titles cannot break the drawing.

import { expect } from 'chai'
import { drawChart } from '#bench-report/charts.js'
import type { Figure } from '#bench-report/model.js'

const figure = (title: string, ratio: number): Figure => ({
  id: 'part.group.subject',
  title,
  baseline: 'bare',
  group: 'A group',
  unit: 'requests/s',
  better: 'higher',
  pairs: [{ baseline: { value: 1 }, subject: { value: ratio } }],
})

const widths = (svg: string): number[] =>
  [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width))

describe('charts of the benchmarks', () => {
  it('draw bars in proportion', () => {
    const [one = 0, half = 0] = widths(drawChart('A group', [figure('a', 1), figure('b', 0.5)]).svg)
    expect(one).to.be.above(100)
    expect(half).to.be.closeTo(one / 2, 0.1)
  })

  it('go over to a logarithmic scale, and say so, where bars in proportion could not be seen', () => {
    const { svg } = drawChart('A group', [figure('a', 1), figure('b', 400)])
    const [one = 0, many = 0] = widths(svg)
    expect(one).to.be.above(many / 100)
    expect(svg).to.contain('logarithmic')
  })

  it('tell ours from the others and from noise', () => {
    const { svg } = drawChart('A group', [figure('dspinlock', 1), figure('other', 1), figure('bare (noise)', 1)])
    expect([...svg.matchAll(/<rect class="(\w+)"/g)].map(([, kind]) => kind)).to.deep.equal(['ours', 'other', 'noise'])
  })

  it('are named after their group, and escape what titles contain', () => {
    const { file, svg } = drawChart('Hand-over: 50 waiters, "all"', [figure('<a> & "b"', 1)])
    expect(file).to.equal('hand-over-50-waiters-all.svg')
    expect(svg).to.contain('&lt;a&gt; &amp; &quot;b&quot;').and.not.contain('<a>')
  })
})
