// Draws 200 duplicates becoming one run: each request a line from when it was sent to when it was answered.

import type { PictureData } from './picture-data.js'

const WIDTH = 860
const LEFT = 20
const RIGHT = 20
const LANES_TOP = 96
const LANE = 1.5

/** Colours that can be told apart on light and on dark ground, one for each process. */
const COLOURS = ['#4c8dd6', '#d6803c', '#4aa56b']

export function drawPicture({ processes, requests, runs, bodies }: PictureData): string {
  const lastMs = Math.max(...requests.map(({ answeredMs }) => answeredMs), ...runs.map(({ endedMs }) => endedMs))
  const stepMs = [10, 20, 50, 100, 200].find(step => lastMs / step <= 10) ?? 500
  const scaleMs = Math.ceil(lastMs / stepMs) * stepMs
  const x = (ms: number): string => (LEFT + (ms / scaleMs) * (WIDTH - LEFT - RIGHT)).toFixed(1)
  const lanesEnd = LANES_TOP + requests.length * LANE
  const lanes = requests.map(({ process, sentMs, answeredMs }, at) => {
    const y = (LANES_TOP + at * LANE + LANE / 2).toFixed(2)
    return `<path d="M${x(sentMs)} ${y}H${x(answeredMs)}" stroke="${COLOURS[process % COLOURS.length]}"/>`
  })
  const bars = runs.map(({ startedMs, endedMs }) => {
    const width = (Number(x(endedMs)) - Number(x(startedMs))).toFixed(1)
    const took = `${Math.round(endedMs - startedMs)} ms`
    return [
      `<rect class="run" x="${x(startedMs)}" y="60" width="${width}" height="22" rx="3"/>`,
      `<text class="small" x="${(Number(x(endedMs)) + 8).toFixed(1)}" y="75">the handler, for ${took}</text>`,
    ].join('\n')
  })
  const answered = requests.filter(({ status }) => status === 200).length
  const head = `${requests.length} duplicate requests, ${count(runs.length, 'run')}, ${answered} answers${bodies === 1 ? ', all the same' : ''}`
  const foot = lanesEnd + 18
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${foot + 34}" role="img" aria-label="${head}">`,
    STYLE,
    `<rect class="ground" width="100%" height="100%" rx="8"/>`,
    `<text class="head" x="${LEFT}" y="34">${head}</text>`,
    ...bars,
    `<g stroke-width="1.1">`,
    ...lanes,
    `</g>`,
    ...ticks(scaleMs, stepMs).map(
      ms => `<text class="small" x="${x(ms)}" y="${foot}" text-anchor="${anchor(ms, scaleMs)}">${ms} ms</text>`,
    ),
    `<text class="small" x="${LEFT}" y="${foot + 20}">Each line: one GET /replay, from sent to answered; colours: the ${count(processes, 'server process')} that share one Redis.</text>`,
    `</svg>`,
  ].join('\n')}\n`
}

const STYLE = `<style>
text { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.head { font-size: 19px; font-weight: 600 }
.small { font-size: 12px; fill: #57606a }
.ground { fill: #f6f8fa }
.run { fill: #8250df }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .small { fill: #9198a1 }
  .ground { fill: #161b22 }
}
</style>`

function count(many: number, what: string): string {
  if (many === 1) return `1 ${what}`
  return `${many} ${what}${what.endsWith('s') ? 'es' : 's'}`
}

function ticks(scaleMs: number, stepMs: number): number[] {
  return Array.from({ length: Math.floor(scaleMs / stepMs) + 1 }, (_, at) => at * stepMs)
}

function anchor(ms: number, scaleMs: number): string {
  if (ms === 0) return 'start'
  return ms === scaleMs ? 'end' : 'middle'
}
