// Medians and quartiles of samples, and when they are too far apart to say anything.

import type { Figure, Pair, Sample } from './model.js'

export interface Summary {
  readonly median: number
  readonly q1: number
  readonly q3: number
  readonly count: number
}

/** Above this share of the median between the quartiles, a figure is marked: on that machine, at that time, it says little. */
const WIDE_SHARE = 0.15

/** The value below which `share` of the samples lie, between two samples in proportion (as R's type 7). */
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

/** The subject's sample over the baseline's of the same pair. */
export function ratioOf(figure: Figure): Summary {
  return summarise(figure.pairs.map(({ baseline, subject }) => subject.value / baseline.value))
}

/** As `ratioOf`, of the CPU time; undefined where it was not taken. */
export function cpuRatioOf(figure: Figure): Summary | undefined {
  const ratios: number[] = []
  for (const { baseline, subject } of figure.pairs) {
    if (baseline.cpuUs === undefined || subject.cpuUs === undefined) return undefined
    ratios.push(subject.cpuUs / baseline.cpuUs)
  }
  return ratios.length === 0 ? undefined : summarise(ratios)
}

/** Of one side of a figure's pairs; undefined where nothing of the kind was taken. */
export function summariseSide(figure: Figure, side: keyof Pair, of: keyof Sample = 'value'): Summary | undefined {
  const values = figure.pairs.map(pair => pair[side][of]).filter(value => value !== undefined)
  return values.length === 0 || values.length < figure.pairs.length ? undefined : summarise(values)
}
