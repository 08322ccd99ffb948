// What can be read off a figure, by name: for goals, for tables, and for the numbers in the documentation.

import type { Figure } from './model.js'
import { cpuRatioOf, ratioOf, type Summary, summarise, summariseSide } from './statistics.js'

export type Metric =
  /** The subject over the baseline, of the figure's unit or of CPU time. */
  | 'ratio'
  | 'cpuRatio'
  /** The baseline over the subject: of rates, how many times the cost. */
  | 'cost'
  /** The subject and the baseline by themselves. */
  | 'value'
  | 'baselineValue'
  /** What the subject has more than the baseline. */
  | 'excess'
  /** CPU time of one operation, in microseconds: all of it, and what is added to the baseline's. */
  | 'cpuUs'
  | 'cpuExcessUs'
  /** Of a record: what it takes beyond its own bytes, with the subject and with the baseline. */
  | 'overhead'
  | 'baselineOverhead'
  /** Something that was counted. */
  | `fact:${string}`

/** Undefined where the figure lacks what it takes. */
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

/** As many digits as mean something. */
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
