// Writes the figures: lines while a run goes on, files at its end.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { fillNumbers, findUnknownNumbers } from '../report/dist/documents.js'
import { formatNumber } from '../report/dist/metrics.js'
import type { Figure, PartResult, Results } from '../report/dist/model.js'
import { drawCharts, renderResults } from '../report/dist/results.js'
import { cpuRatioOf, isWide, ratioOf, summariseSide } from '../report/dist/statistics.js'
import { parts } from './parts/index.js'

const bench = new URL('../', import.meta.url)

export function describeFigure(figure: Figure): string {
  const ratio = ratioOf(figure)
  const cpu = cpuRatioOf(figure)
  const facts = Object.entries(figure.facts ?? {}).map(([name, value]) => `${name} ${value}`)
  return [
    figure.id.padEnd(44),
    `× ${ratio.median.toFixed(2)} (${ratio.q1.toFixed(2)}–${ratio.q3.toFixed(2)})${isWide(ratio) ? ' wide' : ''}`,
    `${formatNumber(summariseSide(figure, 'baseline')?.median ?? 0)} → ${formatNumber(summariseSide(figure, 'subject')?.median ?? 0)} ${figure.unit}`,
    ...(cpu === undefined ? [] : [`cpu × ${cpu.median.toFixed(2)}`]),
    ...facts,
  ].join('  ')
}

/** Writes the new figures in place of those of the same parts, and everything that is made from the results. */
export function publish(measured: PartResult): void {
  const path = fileURLToPath(new URL('results.json', bench))
  const known = readKnown(path)
  const byName = new Map([...known, measured].map(result => [result.part, result]))
  const results: Results = { parts: parts.flatMap(({ name }) => byName.get(name) ?? []) }
  writeFileSync(path, `${JSON.stringify(results)}\n`)
  writeAll(results)
}

/** Writes everything that is made from results.json anew. */
export function rewrite(): void {
  writeAll({ parts: readKnown(fileURLToPath(new URL('results.json', bench))) })
}

function writeAll(results: Results): void {
  writeFileSync(new URL('results.md', bench), renderResults(results))
  const charts = new URL('charts/', bench)
  rmSync(charts, { recursive: true, force: true })
  mkdirSync(charts)
  for (const { file, svg } of drawCharts(results)) writeFileSync(new URL(file, charts), svg)
  const page = new URL('../docs/performance.md', bench)
  const text = readFileSync(page, 'utf8')
  writeFileSync(page, fillNumbers(text, results))
  const unknown = findUnknownNumbers(text, results)
  if (unknown.length > 0)
    process.stderr.write(`docs/performance.md asks for ${unknown.length} numbers that were not measured yet\n`)
}

function readKnown(path: string): readonly PartResult[] {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as Results).parts
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
