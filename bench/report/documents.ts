// Numbers in the documentation: each is between two comments that name it, and is written from the results.

import { formatNumber, type Metric, readMetric } from './metrics.js'
import type { Figure, Results } from './model.js'

/** `<!--= http.not-guarded ratio -->0.99<!-- =-->`: the figure's id, and what to read off it. */
const MARKER = /<!--= (\S+) (\S+) -->.*?<!-- =-->/g

/** The text with every number as in the results; numbers that the results do not have stay as they are. */
export function fillNumbers(text: string, results: Results): string {
  const figures = figuresOf(results)
  return text.replace(MARKER, (whole, id: string, metric: string) => {
    const number = readNumber(figures.get(id), metric)
    return number === undefined ? whole : `<!--= ${id} ${metric} -->${number}<!-- =-->`
  })
}

/** Numbers that the text asks for but the results do not have. */
export function findUnknownNumbers(text: string, results: Results): string[] {
  const figures = figuresOf(results)
  return [...text.matchAll(MARKER)]
    .filter(([, id = '', metric = '']) => readNumber(figures.get(id), metric) === undefined)
    .map(([, id, metric]) => `${id} ${metric}`)
}

function figuresOf({ parts }: Results): ReadonlyMap<string, Figure> {
  return new Map(parts.flatMap(part => part.figures).map(figure => [figure.id, figure]))
}

function readNumber(figure: Figure | undefined, metric: string): string | undefined {
  const summary = figure && readMetric(figure, metric as Metric)
  return summary === undefined || Number.isNaN(summary.median) ? undefined : formatNumber(summary.median)
}
