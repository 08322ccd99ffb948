// What every part of the benchmarks is given.

import { findMissed } from '../../report/dist/goals.js'
import type { Figure, Profile } from '../../report/dist/model.js'
import type { Effort } from './pairs.js'
import type { BenchRedis } from './redis.js'

export interface Context {
  readonly effort: Effort
  readonly redis: BenchRedis
  /** Ids that contain it are measured; all, if undefined. */
  readonly only: string | undefined
  /** What was added so far. */
  readonly figures: readonly Figure[]
  /** Whether to show where the time goes, in runs of their own: of all that is ours, or where a goal is missed. */
  readonly profilesAll: boolean
  readonly profilesMissed: boolean
  /** Say what is going on. */
  readonly say: (line: string) => void
  readonly add: (figure: Figure) => void
  readonly addProfile: (profile: Profile) => void
  /** Of what is no package. */
  readonly noteVersion: (name: string, version: string) => void
  /** Something failed that should not. */
  readonly fail: () => void
  readonly leaveOut: (what: string, why: string) => void
}

export interface Part {
  readonly name: string
  /** For `--help`. */
  readonly about: string
  /** Packages whose versions belong beside the figures. */
  readonly packages: readonly string[]
  measure(context: Context): Promise<void>
}

/** Of `ours`, those figures of which a profile is wanted; asked when all were added. */
export function wantedProfiles({ figures, profilesAll, profilesMissed }: Context, ours: readonly string[]): string[] {
  if (profilesAll) return ours.filter(id => figures.some(figure => figure.id === id))
  return profilesMissed ? findMissed(figures).filter(id => ours.includes(id)) : []
}

/** What fails is told and left out, and the rest goes on; the run as a whole then counts as failed. */
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
