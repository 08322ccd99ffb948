// Watches, with one timer, waits that all end after the same time.

import { type Linked, LinkedList } from '@dspinlock/core/support'

/** Something that waits. */
export interface Expiring extends Linked<Expiring> {
  /** When the wait ends, in `performance.now()`. Only the deadlines write it. */
  endsAt: number
  /** Called when its time is over. */
  expire(): void
}

export class Deadlines {
  readonly #ms: number
  /** In the order in which the waits end, because all take equally long. */
  readonly #pending = new LinkedList<Expiring>()
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  /** `waiting` expires unless `remove` is called within the time. Until then the process is kept alive, because somebody waits. */
  add(waiting: Expiring): void {
    waiting.endsAt = performance.now() + this.#ms
    if (this.#timer === undefined) this.#arm(this.#ms)
    else if (this.#pending.size === 0) this.#timer.ref()
    this.#pending.append(waiting)
  }

  /** How long ago `waiting` was added, in milliseconds. */
  sinceStart(waiting: Expiring): number {
    return performance.now() - waiting.endsAt + this.#ms
  }

  remove(waiting: Expiring): void {
    // The timer runs on for the next wait, which saves setting one for each operation.
    if (this.#pending.remove(waiting) && this.#pending.size === 0) this.#timer?.unref()
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(ms)))
  }

  #tick(): void {
    this.#timer = undefined
    const now = performance.now()
    for (let waiting = this.#pending.first; waiting !== undefined; waiting = this.#pending.first) {
      if (waiting.endsAt > now) return this.#arm(waiting.endsAt - now)
      this.#pending.remove(waiting)
      waiting.expire()
    }
  }
}
