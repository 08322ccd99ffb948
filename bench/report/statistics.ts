// Medians and quartiles of samples, and whether samples are too far apart to say anything.

import type { Figure, Pair, Sample } from './model.js'

export interface Summary {
  readonly median: number
  readonly q1: number
  readonly q3: number
  readonly count: number
}

/** If the quartiles are further apart than this share of the median, a figure is marked, because it says little. */
const WIDE_SHARE = 0.15

/** The value below which `share` of the samples lie, interpolated between two samples (as R's type 7). */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  const at = (sorted.length - 1) * share
  const below = sorted[Math.floor(at)]
  const above = sorted[Math.ceil(at)]
  if (below === undefined || above === undefined) return Number.NaN
  return below + (above - below) * (at - Math.floor(at))
}

export function summarise(samples: readonly number[]): Summary {
  return {
    median: quantile(samples, 0.5),
    q1: quantile(samples, 0.25),
    q3: quantile(samples, 0.75),
    count: samples.length,
  }
}

export function isWide({ median, q1, q3 }: Summary): boolean {
  return q3 - q1 > WIDE_SHARE * Math.abs(median)
}

/** The ratio of the subject's sample to the baseline's of the same pair. */
export function ratioOf(figure: Figure): Summary {
  return summarise(figure.pairs.map(({ baseline, subject }) => subject.value / baseline.value))
}

/** Like `ratioOf`, for CPU time; undefined if that was not measured. */
export function cpuRatioOf(figure: Figure): Summary | undefined {
  const ratios: number[] = []
  for (const { baseline, subject } of figure.pairs) {
    if (baseline.cpuUs === undefined || subject.cpuUs === undefined) return undefined
    ratios.push(subject.cpuUs / baseline.cpuUs)
  }
  return ratios.length === 0 ? undefined : summarise(ratios)
}

/** The values of one side of a figure's pairs; undefined if they were not measured. */
export function summariseSide(figure: Figure, side: keyof Pair, of: keyof Sample = 'value'): Summary | undefined {
  const values = figure.pairs.map(pair => pair[side][of]).filter(value => value !== undefined)
  return values.length === 0 || values.length < figure.pairs.length ? undefined : summarise(values)
}
