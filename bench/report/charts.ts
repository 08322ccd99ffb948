// Bar charts as SVG: one bar for each figure of a group, with its quartiles, and a line for the baseline.

import type { Figure } from './model.js'
import { ratioOf } from './statistics.js'

export interface Chart {
  /** The name of the file, without its folder. */
  readonly file: string
  readonly svg: string
}

const WIDTH = 760
const LABELS = 330
const ROW = 26
const TOP = 58
const RIGHT = 70

export function chartFile(group: string): string {
  return `${group
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')}.svg`
}

/** The figures of one group. */
export function drawChart(group: string, figures: readonly Figure[]): Chart {
  const rows = figures.map(figure => ({ figure, ratio: ratioOf(figure) }))
  const { baseline = '', better } = figures[0] ?? {}
  const most = Math.max(1, ...rows.map(({ ratio }) => ratio.q3))
  const least = Math.min(1, ...rows.map(({ ratio }) => ratio.q1))
  // If one value is a hundred times another, a linear scale would show only the largest.
  const isWide = most / Math.max(least, 1e-9) > 30
  const x = (ratio: number): number => {
    const share = isWide ? Math.log(ratio / (least / 1.3)) / Math.log(most / (least / 1.3)) : ratio / most
    return LABELS + Math.max(0, share) * (WIDTH - LABELS - RIGHT)
  }
  const height = TOP + rows.length * ROW + 30
  const bars = rows.map(({ figure, ratio }, row) => {
    const y = TOP + row * ROW
    const kind = isNoise(figure) ? 'noise' : isOurs(figure) ? 'ours' : 'other'
    return `  <text class="label" x="${LABELS - 8}" y="${y + 14}" text-anchor="end">${escape(shorten(figure.title))}</text>
  <rect class="${kind}" x="${LABELS}" y="${y + 3}" width="${at(x(ratio.median) - LABELS)}" height="15" rx="2"/>
  <line class="quartiles" x1="${at(x(ratio.q1))}" x2="${at(x(ratio.q3))}" y1="${y + 10.5}" y2="${y + 10.5}"/>
  <text class="value" x="${at(x(Math.max(ratio.median, ratio.q3)) + 6)}" y="${y + 14}">× ${formatRatio(ratio.median)}</text>`
  })
  const bottom = TOP + rows.length * ROW
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(group)}">
  <style>
    text { font: 12px system-ui, sans-serif; fill: #1f2328 } .title { font-weight: 600; font-size: 14px } .note { fill: #59636e }
    .ours { fill: #1a7f37 } .other { fill: #8c959f } .noise { fill: #d1d9e0 }
    .quartiles { stroke: #1f2328; stroke-width: 2 } .baseline { stroke: #cf222e; stroke-dasharray: 4 3 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 } .note { fill: #9198a1 } .ours { fill: #3fb950 } .other { fill: #656c76 } .noise { fill: #3d444d }
      .quartiles { stroke: #e6edf3 } .baseline { stroke: #f85149 }
    }
  </style>
  <text class="title" x="8" y="20">${escape(group)}</text>
  <text class="note" x="8" y="38">× ${escape(baseline)} (dashed); ${better === 'lower' ? 'shorter' : 'longer'} is better${isWide ? '; logarithmic' : ''}</text>
${bars.join('\n')}
  <line class="baseline" x1="${at(x(1))}" x2="${at(x(1))}" y1="${TOP - 4}" y2="${bottom + 4}"/>
  <text class="note" x="8" y="${bottom + 22}">median of pairs taken in turn in one run, with quartiles</text>
</svg>
`
  return { file: chartFile(group), svg }
}

export function isNoise({ title }: Figure): boolean {
  return title.includes('(noise)')
}

export function isOurs({ id, title }: Figure): boolean {
  return title.includes('dspinlock') || id.startsWith('scale.')
}

function shorten(title: string): string {
  return title.length > 52 ? `${title.slice(0, 51)}…` : title
}

function formatRatio(ratio: number): string {
  return ratio >= 100 ? ratio.toFixed(0) : ratio.toFixed(ratio >= 10 ? 1 : 2)
}

function at(position: number): string {
  return position.toFixed(1)
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
}
