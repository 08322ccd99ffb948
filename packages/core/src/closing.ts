// A light substitute for an AbortSignal, for one listener: it aborts when something closes.

import { EventEmitter } from 'node:events'
import type { AbortListener, Cancellation } from './policy.js'

/** The part that is used of an emitter, for example a response. */
interface Closable {
  readonly destroyed: boolean
  on(event: 'close', listener: () => void): unknown
  removeListener(event: 'close', listener: () => void): unknown
}

/**
 * For code that needs a signal for each request: an AbortController, its signal and their listeners would be most of the memory that a
 * waiting request takes. It drops its references afterwards, because V8 keeps a function that was among a response's listeners, and all
 * that the function refers to, until the next full collection (docs/decisions/069).
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
    // Checked directly, because something that closed before anybody listened does not emit 'close' again.
    return this.#reason !== undefined || this.#closable?.destroyed === true
  }

  /** To be read only after it has aborted; reading it keeps `aborted` true. */
  get reason(): unknown {
    this.#reason ??= new DOMException('This operation was aborted', 'AbortError')
    return this.#reason
  }

  addEventListener(_type: 'abort', listener: AbortListener): void {
    this.#listener = listener
    // Not by a method of its own, which other code may have replaced.
    if (this.#closable)
      EventEmitter.prototype.on.call(this.#closable as unknown as EventEmitter, 'close', this.#onClose)
  }

  removeEventListener(): void {
    this.#closable?.removeListener('close', this.#onClose)
    this.#closable = this.#listener = undefined
  }
}
