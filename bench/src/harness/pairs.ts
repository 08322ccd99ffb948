// The one way in which anything is compared here: a warm-up of so many operations, then pairs in turn (A B A B …).

import type { Pair, Sample } from '../../report/dist/model.js'

export interface Effort {
  /** The number of pairs. */
  readonly pairs: number
  /** The factor for the number of operations in a sample. */
  readonly scale: number
  /** The factor for the number of operations in a warm-up, which needs as many even if samples are smaller. */
  readonly warmUp: number
}

export const FULL: Effort = { pairs: 7, scale: 1, warmUp: 1 }
/** Settings that show that everything works; the figures then say little. */
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

/** A scaled number of operations, which is at least 1. */
export function scaled({ scale }: Effort, count: number, atLeast = 1): number {
  return Math.max(atLeast, Math.round(count * scale))
}
