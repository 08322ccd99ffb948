// results.md: everything that results.json holds, for people.

import { type Chart, chartFile, drawChart } from './charts.js'
import { type Goal, goals, judge, type Reached } from './goals.js'
import { formatNumber, formatSummary, readMetric } from './metrics.js'
import type { Figure, Machine, PartResult, Profile, Results } from './model.js'
import { isWide, type Summary } from './statistics.js'

/** What is counted, with the headings of its columns. */
const factTitles: Readonly<Record<string, string>> = {
  commands: 'Redis commands',
  commandsInAll: 'with those in scripts',
  publishes: 'PUBLISH',
  runs: 'handler runs',
  statuses: 'statuses of all bursts',
  otherStatuses: 'other than 200',
  failures: 'failures',
  commandsEach: 'commands for each',
  commandsWaitingOneSecond: 'commands while waiting 1 s',
  commandsForHandOver: 'commands for one hand-over',
  gaveUp: 'gave up',
  loopDelayP99Ms: 'loop delay p99, ms',
  baselineLoopDelayP99Ms: 'of the baseline',
  loadShare: 'load’s share of a core',
  pingMs: 'PING, ms',
  records: 'records',
  waiters: 'waiters',
  recordBytes: 'of which its own',
  beside: 'beside',
}

export function renderResults(results: Results): string {
  const { parts } = results
  const figures = new Map(parts.flatMap(part => part.figures).map(figure => [figure.id, figure]))
  const profiles = new Map(parts.flatMap(part => part.profiles).map(profile => [profile.of, profile]))
  const reached = goals.map(goal => judge(goal, figures))
  return `# Results

Written by \`npm run bench\` from [results.json](results.json), which has every sample. A figure is a ratio of what was measured to its
baseline in the same run: pairs taken in turn after a warm-up by count; the median, with quartiles. *Wide* marks a spread of more than 15 % of the
median between the quartiles: it says little. Rows called noise compare the baseline with itself; smaller differences than theirs are nothing.
CPU is that of the process that was measured, for each operation, beside its ratio to the baseline's. Redis commands are those that clients
send. *What there is to reach* is measured, too: something in the same place that answers, or does the least that is needed, and nothing else.
[How it is measured](README.md).

## Goals

${renderGoals(reached)}

${renderMisses(reached, profiles)}
${parts.map(renderPart).join('\n')}
## Not measured

${renderMissing(parts)}
## Versions

${renderVersions(parts)}
`
}

export function drawCharts({ parts }: Results): Chart[] {
  return parts.flatMap(part => groupsOf(part).map(([group, figures]) => drawChart(group, figures)))
}

function renderGoals(reached: readonly Reached[]): string {
  return table(
    ['', 'goal', 'measured', 'best other in the same run', 'what there is to reach', ''],
    reached.map(({ goal, verdict, summary, missedBy = 0, bestOther, bound }) => [
      goal.title,
      describeAim(goal.goal),
      summary === undefined ? '' : markWide(summary),
      ...[bestOther, bound].map(named =>
        named === undefined ? '' : `${formatSummary(named.summary)}, ${named.title}`,
      ),
      verdict === 'missed' ? `**missed by ${describeShortfall(aimOf(goal.goal), missedBy)}**` : verdict,
    ]),
  )
}

function markWide(summary: Summary): string {
  return `${formatSummary(summary)}${isWide(summary) ? ' *wide*' : ''}`
}

function describeAim(goal: Goal['goal']): string {
  if ('atLeast' in goal) return `≥ ${formatNumber(goal.atLeast)}`
  return goal.atMost === 0 ? 'none' : `≤ ${formatNumber(goal.atMost)}`
}

function aimOf(goal: Goal['goal']): number {
  return 'atLeast' in goal ? goal.atLeast : goal.atMost
}

function describeShortfall(aim: number, share: number): string {
  return aim === 0 ? formatNumber(share) : `${Math.ceil(share * 100)} %`
}

function renderMisses(reached: readonly Reached[], profiles: ReadonlyMap<string, Profile>): string {
  const ids = new Set(reached.filter(({ verdict }) => verdict === 'missed').flatMap(({ figure }) => figure?.id ?? []))
  const known = [...ids].flatMap(id => profiles.get(id) ?? [])
  if (known.length === 0) return ''
  return `### What bounds those that were missed

Top functions by self time, of a process that did the same work under Node's sampling profiler.

${known.map(renderProfile).join('\n')}`
}

function renderProfile({ of, top }: Profile): string {
  const rows = top.map(({ name, selfShare }) => [
    `${(selfShare * 100).toFixed(1)} %`,
    `\`${name.replaceAll('`', '')}\``,
  ])
  return `\`${of}\`:\n\n${table(['self time', 'function'], rows)}\n`
}

function renderPart(part: PartResult): string {
  return `## ${part.part}

${part.measuredAt.slice(0, 10)}, in ${part.seconds} s: ${describeMachine(part.machine)}${part.scale === 1 ? '' : ` With ${formatNumber(part.scale * 100)} % of the work in each sample.`}

${groupsOf(part)
  .map(([group, figures]) => renderGroup(group, figures))
  .join('\n')}`
}

export function describeMachine({ cpu, cores, memoryMiB, system, node, redis }: Machine): string {
  return `${cpu}, ${cores} cores, ${Math.round(memoryMiB / 1024)} GiB, ${system}, Node ${node}, Redis ${redis}.`
}

function renderGroup(group: string, figures: readonly Figure[]): string {
  const hasCpu = figures.some(figure => readMetric(figure, 'cpuRatio') !== undefined)
  const facts = Object.keys(factTitles).filter(name => figures.some(({ facts }) => facts?.[name] !== undefined))
  const unit = figures[0]?.unit ?? ''
  const header = [
    '',
    '× baseline',
    unit,
    `baseline, ${unit}`,
    ...(hasCpu ? ['CPU ×', 'CPU, µs'] : []),
    ...facts.map(titleOf),
  ]
  const rows = figures.map(figure => {
    const ratio = readMetric(figure, 'ratio')
    return [
      figure.title,
      ratio === undefined ? '' : markWide(ratio),
      median(figure, 'value'),
      median(figure, 'baselineValue'),
      ...(hasCpu ? [median(figure, 'cpuRatio'), median(figure, 'cpuUs')] : []),
      ...facts.map(name => formatFact(figure.facts?.[name])),
    ]
  })
  return `### ${group}

Baseline: ${figures[0]?.baseline ?? ''}. ${figures[0]?.better === 'lower' ? 'Lower' : 'Higher'} is better.

![${group}](charts/${chartFile(group)})

${table(header, rows)}
`
}

function titleOf(fact: string): string {
  return factTitles[fact] ?? fact
}

function median(figure: Figure, metric: 'value' | 'baselineValue' | 'cpuRatio' | 'cpuUs'): string {
  const summary = readMetric(figure, metric)
  return summary === undefined ? '' : formatNumber(summary.median)
}

function formatFact(fact: number | string | undefined): string {
  if (fact === undefined) return ''
  return typeof fact === 'number' ? formatNumber(fact) : fact
}

function renderMissing(parts: readonly PartResult[]): string {
  const lines = parts.flatMap(({ missing }) => missing.map(({ what, why }) => `- ${what}: ${why}.\n`))
  return lines.length === 0 ? 'Nothing was left out.\n' : [...new Set(lines)].join('')
}

function renderVersions(parts: readonly PartResult[]): string {
  const versions = new Map<string, Set<string>>()
  for (const part of parts) {
    for (const [name, version] of Object.entries(part.versions)) {
      versions.set(name, (versions.get(name) ?? new Set()).add(version))
    }
  }
  const sorted = [...versions].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([name, found]) => `${name} ${[...found].join(', ')}`).join(' · ')
}

function groupsOf(part: PartResult): [string, Figure[]][] {
  const groups = new Map<string, Figure[]>()
  for (const figure of part.figures) {
    const known = groups.get(figure.group)
    if (known === undefined) groups.set(figure.group, [figure])
    else known.push(figure)
  }
  return [...groups]
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
