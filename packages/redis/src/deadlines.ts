// Waits that end after a time that is the same for all of them, watched by one timer.

export interface Deadline {
  /** `performance.now()`. */
  readonly endsAt: number
  readonly expire: () => void
}

export class Deadlines {
  readonly #ms: number
  /** In the order in which they end, because all take equally long. */
  readonly #pending = new Set<Deadline>()
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  /** `expire` is called unless `remove` is called within the time. Until then the process is kept alive: somebody waits. */
  add(expire: () => void): Deadline {
    const deadline = { endsAt: performance.now() + this.#ms, expire }
    if (this.#timer === undefined) this.#arm(this.#ms)
    else if (this.#pending.size === 0) this.#timer.ref()
    this.#pending.add(deadline)
    return deadline
  }

  remove(deadline: Deadline): void {
    // The timer runs on for whoever comes next; setting one for each command is what this saves.
    if (this.#pending.delete(deadline) && this.#pending.size === 0) this.#timer?.unref()
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(ms)))
  }

  #tick(): void {
    this.#timer = undefined
    const now = performance.now()
    for (const deadline of this.#pending) {
      if (deadline.endsAt > now) return this.#arm(deadline.endsAt - now)
      this.#pending.delete(deadline)
      deadline.expire()
    }
  }
}
