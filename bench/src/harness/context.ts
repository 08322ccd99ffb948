// What every part of the benchmarks is given.

import type { Figure, Profile } from '../../report/dist/model.js'
import type { Effort } from './pairs.js'
import type { BenchRedis } from './redis.js'

export interface Context {
  readonly effort: Effort
  readonly redis: BenchRedis
  /** Ids that contain it are measured; all, if undefined. */
  readonly only: string | undefined
  /** Whether to show where the time goes, in runs of their own. */
  readonly profile: boolean
  /** Say what is going on. */
  readonly say: (line: string) => void
  readonly add: (figure: Figure) => void
  readonly addProfile: (profile: Profile) => void
  /** Of what is no package. */
  readonly noteVersion: (name: string, version: string) => void
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

export function isWanted({ only }: Context, id: string): boolean {
  return only === undefined || id.includes(only)
}
