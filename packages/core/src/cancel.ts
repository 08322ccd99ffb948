// An AbortController and its signal in one, for one listener.

import type { Cancellation } from './policy.js'

/** For who makes one for each request: a controller, its signal and what they listen with are most of what a waiting request takes. */
export class Cancel implements Cancellation {
  aborted = false
  reason: unknown
  #listener: (() => void) | undefined

  abort(): void {
    this.aborted = true
    this.reason = new DOMException('This operation was aborted', 'AbortError')
    this.#listener?.()
  }

  /** There is one wait for each, and so one listener. */
  addEventListener(_type: 'abort', listener: () => void): void {
    this.#listener = listener
  }

  removeEventListener(): void {
    this.#listener = undefined
  }
}
