// Remembers who gave up while Redis could not be told, so that a key which they are handed goes on at once.

/** As many as an engine has waiters, unless it is told otherwise. */
const MAX_TOKENS = 10_000
/** Longer than most work lasts: one who waits behind it is handed the key at its end. */
const KEPT_MS = 300_000

interface LostLeave {
  /** The name of the state of the key for which the token waits. */
  readonly state: string
  /** In `performance.now()`. */
  readonly addedAt: number
}

export class LostLeaves {
  /** In the order in which they were added. */
  readonly #byToken = new Map<string, LostLeave>()

  add(token: string, state: string): void {
    const now = performance.now()
    for (const [old, { addedAt }] of this.#byToken) {
      if (now - addedAt < KEPT_MS) break
      this.#byToken.delete(old)
    }
    // In an outage every claim ends here, and those who really wait in Redis come first, because they waited when it began.
    if (this.#byToken.size < MAX_TOKENS) this.#byToken.set(token, { state, addedAt: now })
  }

  /** The state for which the token waits if it is one of these, which it then is no more. */
  take(token: string): string | undefined {
    const lost = this.#byToken.get(token)
    this.#byToken.delete(token)
    return lost?.state
  }
}
