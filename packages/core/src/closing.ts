// An AbortSignal that aborts when something closes, for one listener.

import type { AbortListener, Cancellation } from './policy.js'

/** The part of an emitter that is used, for example of a response. */
interface Closable {
  readonly destroyed: boolean
  on(event: 'close', listener: () => void): unknown
  removeListener(event: 'close', listener: () => void): unknown
}

/**
 * For whoever makes one for each request: an AbortController, its signal and their listeners would be most of what a waiting request
 * takes. It lets go of everybody afterwards, because V8 keeps the function that was among a response's listeners, and all that this
 * refers to, until the next full collection (docs/decisions/069).
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
    // What closed before anybody listened does not say so again.
    return this.#reason !== undefined || this.#closable?.destroyed === true
  }

  /** Only to be asked once it has aborted, and it stays so from then on. */
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
