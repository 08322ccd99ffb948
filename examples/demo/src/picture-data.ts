// What the picture of 200 duplicates is drawn from: one real run, in milliseconds since its first request.

export interface PictureData {
  /** How many server processes shared one Redis. */
  readonly processes: number
  /** In the order in which they were sent. */
  readonly requests: readonly {
    readonly process: number
    readonly sentMs: number
    readonly answeredMs: number
    readonly status: number
  }[]
  /** Runs of the handler. */
  readonly runs: readonly { readonly process: number; readonly startedMs: number; readonly endedMs: number }[]
  /** Different bodies among the answers. */
  readonly bodies: number
}
