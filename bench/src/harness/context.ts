// What every part of the benchmarks is given.

import { findMissed } from '../../report/dist/goals.js'
import type { Figure, Profile } from '../../report/dist/model.js'
import type { Effort } from './pairs.js'
import type { BenchRedis } from './redis.js'

export interface Context {
  readonly effort: Effort
  readonly redis: BenchRedis
  /** Only ids that contain this text are measured; undefined: all. */
  readonly only: string | undefined
  /** The figures that were added so far. */
  readonly figures: readonly Figure[]
  /** Whether to profile, in separate runs: all figures of ours, or those that miss a goal. */
  readonly profilesAll: boolean
  readonly profilesMissed: boolean
  /** Tells the user what is going on. */
  readonly say: (line: string) => void
  readonly add: (figure: Figure) => void
  readonly addProfile: (profile: Profile) => void
  /** The version of something that is not a package. */
  readonly noteVersion: (name: string, version: string) => void
  /** Reports something that failed and should not have. */
  readonly fail: () => void
  readonly leaveOut: (what: string, why: string) => void
}

export interface Part {
  readonly name: string
  /** Shown by `--help`. */
  readonly about: string
  /** Packages whose versions are to be reported with the figures. */
  readonly packages: readonly string[]
  measure(context: Context): Promise<void>
}

/** Of the figures `ours`, those to profile; called when all were added. */
export function wantedProfiles({ figures, profilesAll, profilesMissed }: Context, ours: readonly string[]): string[] {
  if (profilesAll) return ours.filter(id => figures.some(figure => figure.id === id))
  return profilesMissed ? findMissed(figures).filter(id => ours.includes(id)) : []
}

/** A case that fails is reported and left out, and the rest goes on; the run as a whole then counts as failed. */
export async function attempt(
  { only, say, leaveOut, fail }: Context,
  id: string,
  work: () => Promise<void>,
): Promise<void> {
  if (!isWanted({ only }, id)) return
  say(id)
  try {
    await work()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    leaveOut(id, `failed: ${message.split('\n')[0]}`)
    say(error instanceof Error ? (error.stack ?? message) : message)
    fail()
  }
}

function isWanted({ only }: Pick<Context, 'only'>, id: string): boolean {
  return only === undefined || id.includes(only)
}
