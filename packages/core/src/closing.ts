// An AbortSignal that aborts when something closes, for one listener.

import type { AbortListener, Cancellation } from './policy.js'

/** The part of an emitter that is used, for example of a response. */
interface Closable {
  readonly destroyed: boolean
  on(event: 'close', listener: () => void): unknown
  removeListener(event: 'close', listener: () => void): unknown
}

/**
 * For who makes one for each request: a controller, its signal and what they listen with are most of what a waiting request takes. It listens
 * once, and knows nobody any more afterwards: V8 keeps the function that Node puts among a response's listeners, and all that it knows, until the
 * next full collection (docs/decisions/069).
 */
export class Closing implements Cancellation {
  #closable: Closable | undefined
  #listener: AbortListener | undefined
  #reason: unknown
  readonly #onClose = (): void => this.#listener?.handleEvent()

  constructor(closable: Closable) {
    this.#closable = closable
  }

  get aborted(): boolean {
    // Who closed before anybody listened does not tell again.
    return this.#reason !== undefined || this.#closable?.destroyed === true
  }

  /** Asked for by the listener, or by who found it aborted, and by nobody before: from then on it is. */
  get reason(): unknown {
    this.#reason ??= new DOMException('This operation was aborted', 'AbortError')
    return this.#reason
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listener = listener
    this.#closable?.on('close', this.#onClose)
  }

  removeEventListener(): void {
    this.#closable?.removeListener('close', this.#onClose)
    this.#closable = this.#listener = undefined
  }
}
