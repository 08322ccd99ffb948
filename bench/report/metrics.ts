// What can be read off a figure, by name: for goals, for tables, and for the numbers in the documentation.

import type { Figure } from './model.js'
import { cpuRatioOf, ratioOf, type Summary, summarise, summariseSide } from './statistics.js'

export type Metric =
  /** The ratio of the subject to the baseline, in the figure's unit or in CPU time. */
  | 'ratio'
  | 'cpuRatio'
  /** The ratio of the baseline to the subject; for rates, this is how many times the cost. */
  | 'cost'
  /** The values of subject and baseline by themselves. */
  | 'value'
  | 'baselineValue'
  /** By how much the subject exceeds the baseline. */
  | 'excess'
  /** CPU time of one operation, in microseconds: all of it, and what the subject adds to the baseline. */
  | 'cpuUs'
  | 'cpuExcessUs'
  /** For a record: the memory that it takes beyond its own bytes, with the subject and with the baseline. */
  | 'overhead'
  | 'baselineOverhead'
  /** Something that was counted. */
  | `fact:${string}`

/** Undefined if the figure lacks what is needed for it. */
export function readMetric(figure: Figure, metric: Metric): Summary | undefined {
  const differences = (of: 'value' | 'cpuUs'): Summary | undefined => {
    const all = figure.pairs.map(({ baseline, subject }) => (subject[of] ?? Number.NaN) - (baseline[of] ?? Number.NaN))
    return all.some(Number.isNaN) ? undefined : summarise(all)
  }
  const overheadOf = (side: 'subject' | 'baseline'): Summary | undefined => {
    const bytes = Number(figure.facts?.['recordBytes'])
    return Number.isNaN(bytes) ? undefined : summarise(figure.pairs.map(pair => pair[side].value - bytes))
  }
  switch (metric) {
    case 'ratio':
      return ratioOf(figure)
    case 'cpuRatio':
      return cpuRatioOf(figure)
    case 'cost':
      return summarise(figure.pairs.map(({ baseline, subject }) => baseline.value / subject.value))
    case 'value':
      return summariseSide(figure, 'subject')
    case 'baselineValue':
      return summariseSide(figure, 'baseline')
    case 'excess':
      return differences('value')
    case 'cpuUs':
      return summariseSide(figure, 'subject', 'cpuUs')
    case 'cpuExcessUs':
      return differences('cpuUs')
    case 'overhead':
      return overheadOf('subject')
    case 'baselineOverhead':
      return overheadOf('baseline')
    default: {
      const fact = Number.parseFloat(String(figure.facts?.[metric.slice('fact:'.length)]))
      return Number.isNaN(fact) ? undefined : summarise([fact])
    }
  }
}

/** Rounded to the digits that mean something. */
export function formatNumber(value: number): string {
  const size = Math.abs(value)
  if (Number.isInteger(value) && size < 10_000) return String(value)
  if (size >= 10_000) return Math.round(value).toLocaleString('en')
  if (size >= 100) return value.toFixed(0)
  return size >= 10 ? value.toFixed(1) : value.toFixed(2)
}

export function formatSummary(summary: Summary): string {
  const { median, q1, q3, count } = summary
  return count === 1 ? formatNumber(median) : `${formatNumber(median)} (${formatNumber(q1)}–${formatNumber(q3)})`
}
