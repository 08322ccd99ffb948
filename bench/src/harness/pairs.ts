// The one way in which anything is compared here: a warm-up by count, then pairs in turn (A B A B …).

import type { Pair, Sample } from '../../report/dist/model.js'

export interface Effort {
  /** How many pairs. */
  readonly pairs: number
  /** What counts of operations are multiplied by. */
  readonly scale: number
  /** What counts of a warm-up are multiplied by: less work in a sample makes no compiler quicker. */
  readonly warmUp: number
}

export const FULL: Effort = { pairs: 7, scale: 1, warmUp: 1 }
/** Shows that everything works; its figures say little. */
export const QUICK: Effort = { pairs: 2, scale: 0.05, warmUp: 0.03 }

export async function takePairs(
  { pairs }: Effort,
  baseline: () => Promise<Sample>,
  subject: () => Promise<Sample>,
): Promise<Pair[]> {
  const taken: Pair[] = []
  for (let pair = 0; pair < pairs; pair++) {
    const first = await baseline()
    taken.push({ baseline: first, subject: await subject() })
  }
  return taken
}

export function warmedBy({ warmUp }: Effort, count: number): number {
  return Math.ceil(count * warmUp)
}

/** A count of operations, scaled, and never none. */
export function scaled({ scale }: Effort, count: number, atLeast = 1): number {
  return Math.max(atLeast, Math.round(count * scale))
}
