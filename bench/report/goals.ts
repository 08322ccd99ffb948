// The goals, and whether they were reached.

import { type Metric, readMetric } from './metrics.js'
import type { Figure } from './model.js'
import type { Summary } from './statistics.js'

export interface Goal {
  readonly title: string
  /** Ids of our figures; the worst one of them counts. */
  readonly figures: readonly string[]
  readonly metric: Metric
  readonly goal: { readonly atLeast: number } | { readonly atMost: number }
  /** Ids of the alternatives' figures in the same run; the best one of them is shown. */
  readonly others?: readonly string[]
  /** Ids of figures of code that does nothing else, in the same run: the best that could be reached. */
  readonly bound?: { readonly figure: string; readonly metric: Metric }
}

export type Verdict = 'met' | 'missed' | 'not measured'

export interface Reached {
  readonly goal: Goal
  readonly verdict: Verdict
  /** The figure that counts, and its summary. */
  readonly figure?: Figure
  readonly summary?: Summary
  /** How far it is from the goal, as a share of the goal. */
  readonly missedBy?: number
  readonly bestOther?: Named
  readonly bound?: Named
}

interface Named {
  readonly title: string
  readonly summary: Summary
}

const policies = ['serialise', 'replay', 'reject'] as const
const middleware = ['node-idempotency', 'express-idempotency', 'apicache'] as const
const locks = ['redlock4', 'redlock5', 'redis-semaphore', 'redlock-universal'] as const
const ids = (prefix: string, names: readonly string[]): string[] => names.map(name => `${prefix}.${name}`)

export const goals: readonly Goal[] = [
  {
    title: 'http, not guarded, × bare',
    figures: ['http.not-guarded'],
    metric: 'ratio',
    goal: { atLeast: 0.98 },
    bound: { figure: 'http.least.pass', metric: 'ratio' },
  },
  {
    title: 'http, unique keys, memory, × bare',
    figures: ids('http.unique.memory', policies),
    metric: 'ratio',
    goal: { atLeast: 0.9 },
    others: ids('http.unique.memory', middleware),
    bound: { figure: 'http.least.record.memory', metric: 'ratio' },
  },
  {
    title: 'http, unique keys, Redis, × bare',
    figures: ids('http.unique.redis', policies),
    metric: 'ratio',
    goal: { atLeast: 0.85 },
    others: ids('http.unique.redis', middleware),
    bound: { figure: 'http.least.record.redis', metric: 'ratio' },
  },
  {
    title: 'http, replay, memory, × bare',
    figures: ['http.replay.memory'],
    metric: 'ratio',
    goal: { atLeast: 1.2 },
    others: ids('http.replay.memory', middleware),
    bound: { figure: 'http.least.answer.route', metric: 'ratio' },
  },
  {
    title: 'http, replay, Redis, × bare',
    figures: ['http.replay.redis'],
    metric: 'ratio',
    goal: { atLeast: 1.1 },
    others: ids('http.replay.redis', middleware),
    bound: { figure: 'http.least.ask.route', metric: 'ratio' },
  },
  {
    title: 'http, replay, Redis: commands for each',
    figures: ['http.replay.redis'],
    metric: 'fact:commands',
    goal: { atMost: 1 },
    others: ids('http.replay.redis', middleware),
  },
  {
    title: 'http, replay, Redis, before the body parser, × bare',
    figures: ['http.replay-before-parser.redis'],
    metric: 'ratio',
    goal: { atLeast: 1.4 },
    bound: { figure: 'http.least.ask.before-parser', metric: 'ratio' },
  },
  {
    title: 'http, replay, in-process layer, × bare',
    figures: ['http.replay.local-cache'],
    metric: 'ratio',
    goal: { atLeast: 1.2 },
    bound: { figure: 'http.least.answer.route', metric: 'ratio' },
  },
  {
    title: 'http, replay, in-process layer: commands for each',
    figures: ['http.replay.local-cache'],
    metric: 'fact:commands',
    goal: { atMost: 0 },
  },
  {
    title: 'http, replay, in front of the framework, × bare',
    figures: ['http.replay.in-front'],
    metric: 'ratio',
    goal: { atLeast: 3 },
    bound: { figure: 'http.least.answer.in-front', metric: 'ratio' },
  },
  {
    title: 'stampede, 2 processes on Redis: wall time, × Varnish',
    figures: ['stampede.2.dspinlock'],
    metric: 'ratio',
    goal: { atMost: 1.1 },
    others: ids('stampede.2', [...middleware, 'nginx']),
  },
  {
    title: 'stampede, 2 processes on Redis: handler runs',
    figures: ['stampede.2.dspinlock'],
    metric: 'fact:runs',
    goal: { atMost: 1 },
    others: ids('stampede.2', middleware),
  },
  {
    title: 'stampede, 2 processes on Redis: answers other than 200',
    figures: ['stampede.2.dspinlock'],
    metric: 'fact:otherStatuses',
    goal: { atMost: 0 },
    others: ids('stampede.2', middleware),
  },
  {
    title: 'stampede, 2 processes: Redis commands',
    figures: ['stampede.2.dspinlock'],
    metric: 'fact:commands',
    goal: { atMost: 12 },
    others: ids('stampede.2', middleware),
  },
  {
    title: 'stampede, 1 process: Redis commands',
    figures: ['stampede.1.dspinlock'],
    metric: 'fact:commands',
    goal: { atMost: 5 },
    others: ids('stampede.1', middleware),
  },
  {
    title: 'lock, one after another, × raw',
    figures: ['lock.sequential.dspinlock'],
    metric: 'ratio',
    goal: { atLeast: 0.95 },
    others: ids('lock.sequential', locks),
    bound: { figure: 'lock.sequential.scripts', metric: 'ratio' },
  },
  {
    title: 'lock: commands for acquire and release',
    figures: ['lock.sequential.dspinlock', 'lock.at-once.dspinlock'],
    metric: 'fact:commands',
    goal: { atMost: 2 },
    others: ids('lock.sequential', locks),
  },
  {
    title: 'lock: PUBLISH without waiters',
    figures: ['lock.sequential.dspinlock', 'lock.at-once.dspinlock'],
    metric: 'fact:publishes',
    goal: { atMost: 0 },
  },
  {
    title: 'lock, 64 at once, × raw',
    figures: ['lock.at-once.dspinlock'],
    metric: 'ratio',
    goal: { atLeast: 1.25 },
    others: ids('lock.at-once', locks),
  },
  {
    title: 'lock, 64 at once, CPU × raw',
    figures: ['lock.at-once.dspinlock'],
    metric: 'cpuRatio',
    goal: { atMost: 0.6 },
    others: ids('lock.at-once', locks),
  },
  {
    title: 'hand-over, one waiter, × a bare PUBLISH',
    figures: ['hand-over.one.dspinlock'],
    metric: 'ratio',
    goal: { atMost: 1.2 },
    others: ids('hand-over.one', locks),
    bound: { figure: 'hand-over.one.script', metric: 'ratio' },
  },
  {
    title: 'hand-over, 50 waiters: drain, × redis-semaphore',
    figures: ['hand-over.many.dspinlock'],
    metric: 'ratio',
    goal: { atMost: 0.05 },
    others: ids('hand-over.many', ['redlock4', 'redlock5']),
  },
  {
    title: 'hand-over, 50 waiters: failures',
    figures: ['hand-over.many.dspinlock'],
    metric: 'fact:failures',
    goal: { atMost: 0 },
    others: ids('hand-over.many', ['redlock4', 'redlock5', 'noise', 'redlock-universal']),
  },
  {
    title: 'hand-over, 50 waiters: commands for each',
    figures: ['hand-over.many.dspinlock'],
    metric: 'fact:commandsEach',
    goal: { atMost: 2 },
    others: ids('hand-over.many', ['redlock4', 'redlock5', 'noise']),
  },
  {
    title: 'commands while one waits for 1 s',
    figures: ['hand-over.one.dspinlock'],
    metric: 'fact:commandsWaitingOneSecond',
    goal: { atMost: 4 },
    others: ids('hand-over.one', locks),
  },
  {
    title: 'cost beside 1,000,000 records, × 1,000',
    figures: ids('scale.records', ['memory', 'redis']),
    metric: 'cost',
    goal: { atMost: 1.1 },
    bound: { figure: 'scale.records.map', metric: 'cost' },
  },
  {
    title: 'memory of a waiter, beyond its request, bytes',
    figures: ['scale.memory.waiter'],
    metric: 'excess',
    goal: { atMost: 2_048 },
  },
  {
    title: 'memory of a record, beyond its response, bytes',
    figures: ids('scale.memory.record', ['memory', 'redis']),
    metric: 'overhead',
    goal: { atMost: 250 },
    bound: { figure: 'scale.memory.record.redis', metric: 'baselineOverhead' },
  },
]

const aimOf = ({ goal }: Goal): number => ('atLeast' in goal ? goal.atLeast : goal.atMost)

/** How much worse than the goal, as a share of the goal; 0 or less: the goal is met. */
function shortfall(goal: Goal, value: number): number {
  const aim = aimOf(goal)
  const short = 'atLeast' in goal.goal ? aim - value : value - aim
  return short / (aim === 0 ? 1 : aim)
}

export function judge(goal: Goal, figures: ReadonlyMap<string, Figure>): Reached {
  const read = (id: string, metric = goal.metric): { figure: Figure; summary: Summary } | undefined => {
    const figure = figures.get(id)
    const summary = figure && readMetric(figure, metric)
    return figure && summary && { figure, summary }
  }
  const byShortfall = (names: readonly string[]): { figure: Figure; summary: Summary }[] =>
    names
      .flatMap(id => read(id) ?? [])
      .sort((a, b) => shortfall(goal, b.summary.median) - shortfall(goal, a.summary.median))
  const ours = byShortfall(goal.figures)
  const [worst] = ours
  const best = byShortfall(goal.others ?? []).at(-1)
  const bound = goal.bound && read(goal.bound.figure, goal.bound.metric)
  const beside = {
    ...(best === undefined ? {} : { bestOther: { title: best.figure.title, summary: best.summary } }),
    ...(bound === undefined
      ? {}
      : { bound: { title: titleOf(bound.figure, goal.bound?.metric), summary: bound.summary } }),
  }
  if (worst === undefined || ours.length < goal.figures.length) return { goal, verdict: 'not measured', ...beside }
  const missedBy = shortfall(goal, worst.summary.median)
  return { goal, verdict: missedBy > 0 ? 'missed' : 'met', missedBy, ...worst, ...beside }
}

function titleOf({ title, baseline }: Figure, metric: Metric | undefined): string {
  return metric?.startsWith('baseline') === true ? baseline : title
}

/** Ids of those figures of ours that miss a goal. */
export function findMissed(figures: readonly Figure[]): string[] {
  const byId = new Map(figures.map(figure => [figure.id, figure]))
  const missed = goals.map(goal => judge(goal, byId)).filter(({ verdict }) => verdict === 'missed')
  return [...new Set(missed.flatMap(({ figure }) => figure?.id ?? []))]
}
