// What becomes of the figures: lines while it goes on, files at the end.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Figure, PartResult, Results } from '../report/dist/model.js'
import { cpuRatioOf, isWide, ratioOf } from '../report/dist/statistics.js'
import { parts } from './parts/index.js'

const bench = new URL('../', import.meta.url)

export function describeFigure(figure: Figure): string {
  const ratio = ratioOf(figure)
  const cpu = cpuRatioOf(figure)
  const facts = Object.entries(figure.facts ?? {}).map(([name, value]) => `${name} ${value}`)
  return [
    figure.id.padEnd(44),
    `× ${ratio.median.toFixed(2)} (${ratio.q1.toFixed(2)}–${ratio.q3.toFixed(2)})${isWide(ratio) ? ' wide' : ''}`,
    ...(cpu === undefined ? [] : [`cpu × ${cpu.median.toFixed(2)}`]),
    ...facts,
  ].join('  ')
}

export function publish(measured: readonly PartResult[]): void {
  const path = fileURLToPath(new URL('results.json', bench))
  let known: readonly PartResult[] = []
  try {
    known = (JSON.parse(readFileSync(path, 'utf8')) as Results).parts
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  const byName = new Map([...known, ...measured].map(result => [result.part, result]))
  const results: Results = { parts: parts.flatMap(({ name }) => byName.get(name) ?? []) }
  mkdirSync(bench, { recursive: true })
  writeFileSync(path, `${JSON.stringify(results, null, 1)}\n`)
}
