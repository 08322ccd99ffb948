// What is made from results.json agrees with it: no table, chart or number in the documentation can differ from what was measured.

import { readdirSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { fillNumbers, findUnknownNumbers } from '#bench-report/documents.js'
import type { Results } from '#bench-report/model.js'
import { drawCharts, renderResults } from '#bench-report/results.js'

const top = new URL('../../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, top), 'utf8')
const remedy = 'write it anew with npm run bench -- --render'

describe('results of the benchmarks', () => {
  const results = JSON.parse(read('bench/results.json')) as Results

  it('are in results.md as they were measured', () => {
    expect(read('bench/results.md') === renderResults(results), remedy).to.equal(true)
  })

  it('are drawn as they were measured, each group once, and nothing else is', () => {
    const charts = drawCharts(results)
    expect(readdirSync(new URL('bench/charts/', top)).toSorted()).to.deep.equal(
      charts.map(({ file }) => file).toSorted(),
    )
    for (const { file, svg } of charts)
      expect(read(`bench/charts/${file}`) === svg, `${file}: ${remedy}`).to.equal(true)
  })

  it('are the numbers of docs/performance.md', () => {
    const page = read('docs/performance.md')
    const measured = results.parts.map(({ part }) => part)
    const unknown = findUnknownNumbers(page, results)
    expect(unknown.filter(number => measured.includes(number.split('.')[0] ?? ''))).to.deep.equal([])
    expect(fillNumbers(page, results) === page, remedy).to.equal(true)
    expect(page.match(/<!--= /g)?.length).to.be.above(50)
  })

  it('are ratios of pairs, at least seven, each figure once', () => {
    const figures = results.parts.flatMap(part => part.figures)
    expect(figures.length).to.be.above(10)
    expect(new Set(figures.map(({ id }) => id)).size).to.equal(figures.length)
    for (const { id, pairs } of figures) expect(pairs.length, id).to.be.at.least(7)
  })
})
