// Tells whether Redis is away: all tries have failed for a while, with no answer in between.

/** A failure counts for this long: longer than from one attempt to connect to the next. */
const FORGOTTEN_MS = 5_000

export class Outage {
  readonly #afterMs: number
  #since = 0
  #lastAt = Number.NEGATIVE_INFINITY

  /** `afterMs`: for how long failures may just mean a failover, or a server that is starting. */
  constructor(afterMs: number) {
    this.#afterMs = afterMs
  }

  /** Whether it has failed for `afterMs` by now. */
  get lasts(): boolean {
    return this.#lastAt - this.#since >= this.#afterMs && performance.now() - this.#lastAt < FORGOTTEN_MS
  }

  /** A connection failed, or a try of an operation. */
  onFailure(): void {
    const now = performance.now()
    if (now - this.#lastAt >= FORGOTTEN_MS) this.#since = now
    this.#lastAt = now
  }

  onAnswer(): void {
    this.#lastAt = Number.NEGATIVE_INFINITY
  }
}
