// An AbortSignal that aborts when something closes, for one listener.

import type { Cancellation } from './policy.js'

/** The part of an emitter that is used, for example of a response. */
interface Closable {
  on(event: 'close', listener: () => void): unknown
  removeListener(event: 'close', listener: () => void): unknown
}

/** For who makes one for each request: a controller, its signal and what they listen with are most of what a waiting request takes. */
export class Closing implements Cancellation {
  readonly #closable: Closable
  #reason: unknown

  constructor(closable: Closable) {
    this.#closable = closable
  }

  get aborted(): boolean {
    return this.#reason !== undefined
  }

  /** Asked for by the listener, and by nobody before: from then on it is aborted. */
  get reason(): unknown {
    this.#reason ??= new DOMException('This operation was aborted', 'AbortError')
    return this.#reason
  }

  addEventListener(_type: 'abort', listener: () => void): void {
    this.#closable.on('close', listener)
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    this.#closable.removeListener('close', listener)
  }
}
