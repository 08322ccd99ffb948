// What the demo sends, and what has to come of it.

import type { Duplicates } from '@dspinlock/express'

/** How long the handler takes where one run answers all. */
export const HANDLER_MS = 100
/** How long it takes where every duplicate runs, one after another. */
export const SERIALISED_HANDLER_MS = 5
/** Duplicates in a burst, and different requests among them. */
export const BURST = 200
export const STRANGERS = 20

export interface HandlerRun {
  readonly what: string
  /** Microseconds on a clock that all processes of the machine share. */
  readonly startedAt: number
  readonly endedAt: number
}

export interface Scenario {
  readonly policy: Duplicates
  readonly method: 'GET' | 'POST'
}

export const scenarios: readonly Scenario[] = (['replay', 'reject', 'serialise'] as const).flatMap(policy => [
  { policy, method: 'GET' as const },
  { policy, method: 'POST' as const },
])

export interface Answer {
  readonly status: number
  readonly body: string
}

export interface Outcome {
  /** Answers to the duplicates. */
  readonly answers: readonly Answer[]
  /** Answers to the different requests sent at the same time. */
  readonly strangers: readonly Answer[]
  /** Runs of the handler for the duplicates. */
  readonly runs: readonly HandlerRun[]
  /** Runs of the handler for the others. */
  readonly strangerRuns: readonly HandlerRun[]
  readonly wallMs: number
}

/** Bodies among the successful answers to duplicates. */
export function countBodies(outcome: Outcome): number {
  return new Set(outcome.answers.filter(answer => answer.status === 200).map(answer => answer.body)).size
}

export function hasOverlap(runs: readonly HandlerRun[]): boolean {
  const inOrder = [...runs].sort((a, b) => a.startedAt - b.startedAt)
  return inOrder.some((run, at) => at > 0 && run.startedAt < (inOrder[at - 1]?.endedAt ?? 0))
}

/** What did not come out as promised; empty if all did. */
export function findBreaches({ policy }: Scenario, outcome: Outcome): string[] {
  const breaches: string[] = []
  const expect = (holds: boolean, otherwise: string): void => {
    if (!holds) breaches.push(otherwise)
  }
  const ok = outcome.answers.filter(answer => answer.status === 200).length
  const conflicts = outcome.answers.filter(answer => answer.status === 409).length
  const runs = outcome.runs.length
  if (policy === 'replay') {
    expect(runs === 1, `${runs} runs instead of 1`)
    expect(ok === BURST, `${ok} answers with 200 instead of ${BURST}`)
    expect(countBodies(outcome) === 1, `${countBodies(outcome)} different bodies instead of 1`)
  } else if (policy === 'reject') {
    expect(runs === 1, `${runs} runs instead of 1`)
    expect(ok === 1 && conflicts === BURST - 1, `${ok} × 200 and ${conflicts} × 409 instead of 1 and ${BURST - 1}`)
  } else {
    expect(runs === BURST, `${runs} runs instead of ${BURST}`)
    expect(ok === BURST, `${ok} answers with 200 instead of ${BURST}`)
    expect(!hasOverlap(outcome.runs), 'two runs overlapped')
  }
  expect(outcome.strangerRuns.length === STRANGERS, `${outcome.strangerRuns.length} runs for ${STRANGERS} others`)
  expect(
    outcome.strangers.every(answer => answer.status === 200),
    'a different request was not answered with 200',
  )
  return breaches
}
