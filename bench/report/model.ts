// What a run of the benchmarks leaves in results.json: samples as they were measured, and nothing that can be computed from them.

/** Two samples taken one after the other: one of the baseline, and one of the subject that is compared with it. */
export interface Pair {
  readonly baseline: Sample
  readonly subject: Sample
}

export interface Sample {
  /** The value, in the figure's unit. */
  readonly value: number
  /** CPU time of the measured process for each operation, in microseconds. */
  readonly cpuUs?: number
  /** CPU time of Redis for each operation, in microseconds. */
  readonly redisCpuUs?: number
}

/** One thing compared with its baseline in one run. */
export interface Figure {
  /** A dotted path that begins with the part: `http.unique.memory.replay`. */
  readonly id: string
  /** The subject, described for people. */
  readonly title: string
  /** The baseline, described for people. */
  readonly baseline: string
  /** Figures of one group make one table and one chart. */
  readonly group: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  readonly pairs: readonly Pair[]
  /** What was counted besides the samples: commands, statuses, failures. */
  readonly facts?: Readonly<Record<string, number | string>>
}

/** Where the time went, in a separate process that did the same work under a sampling profiler. */
export interface Profile {
  /** The figure's id. */
  readonly of: string
  readonly top: readonly { readonly name: string; readonly selfShare: number }[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryMiB: number
  readonly system: string
  readonly node: string
  readonly redis: string
}

export interface PartResult {
  readonly part: string
  /** The date, as in ISO 8601. */
  readonly measuredAt: string
  readonly seconds: number
  /** The share of the full work in each sample: 1, unless less was asked for. */
  readonly scale: number
  readonly machine: Machine
  /** The installed versions of all packages that took part. */
  readonly versions: Readonly<Record<string, string>>
  readonly figures: readonly Figure[]
  readonly profiles: readonly Profile[]
  /** What could not be measured, and why. */
  readonly missing: readonly { readonly what: string; readonly why: string }[]
}

export interface Results {
  readonly parts: readonly PartResult[]
}
