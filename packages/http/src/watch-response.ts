// Watches Node's own response from its first byte until its last one is on its way, and ends the hold with it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { isCutShort } from './body.js'
import { call, type Outcome, Recorder, type RecordingOwner } from './recorder.js'
import { isSafeMethod } from './replayable.js'
import type { Ending } from './request-state.js'
import type { Settlement } from './settlement.js'
import { isHttp1 } from './versions.js'

export interface Watching extends Ending {
  /** Whether trailers were set so far; also known after `stop`. */
  readonly hasTrailers: boolean
  /** Stops watching; the hold is then for other code to end. */
  stop(): void
}

/** `keepsBody` is as the settlement says, unless the caller keeps the body itself. */
export function watchResponse(
  req: IncomingMessage,
  res: ServerResponse,
  settlement: Settlement,
  keepsBody: boolean = settlement.keepsBody,
): Watching {
  return new ResponseWatch(req, res, settlement, keepsBody)
}

class ResponseWatch implements Watching, RecordingOwner {
  readonly keepsBody: boolean
  readonly maxBytes: number
  readonly holdsBack: boolean
  readonly #res: ServerResponse
  readonly #settlement: Settlement
  readonly #recorder: Recorder
  /** Noted at the start, because middleware further in may change the request. */
  readonly #isSafe: boolean
  /** How many listen to the body in front of the handler. */
  readonly #inFront: number

  constructor(req: IncomingMessage, res: ServerResponse, settlement: Settlement, keepsBody: boolean) {
    this.keepsBody = keepsBody
    this.maxBytes = settlement.maxRecordBytes
    // An HTTP/2 response has no socket of its own that could be held back.
    this.holdsBack = settlement.holdsBack && isHttp1(req)
    this.#res = res
    this.#settlement = settlement
    this.#isSafe = isSafeMethod(req.method)
    this.#inFront = req.listenerCount('data')
    this.#recorder = new Recorder(res, this)
  }

  get hasTrailers(): boolean {
    return this.#recorder.hasTrailers
  }

  onEnd(outcome: Outcome, letGo: (() => void) | undefined): void {
    const settled = this.#settlement.end(outcome)
    if (settled === undefined) letGo?.()
    else void settled.then(letGo)
  }

  onAbandoned(): void {
    const res = this.#res
    const { req } = res
    // The source of the response (a pipe, say) may have stopped for good. A handler that goes on writes, or ends the response, soon.
    const cutLater = (): void => {
      const { written } = this.#recorder
      setTimeout(() => {
        if (this.#recorder.written === written) this.cut()
        else cutLater()
      }, this.#settlement.settleTimeoutMs).unref()
    }
    if (res.headersSent) cutLater()
    else if (res.errored) this.cut()
    else {
      // Without a head nothing is known about the work, and it may go on, so the hold stays until the response ends, or for maxHoldMs. Unless
      // the handler begins to answer nobody, or waits for somebody to take its bytes, or gave up (docs/decisions/084, 085, 087).
      res.once('pipe', cutLater).once('unpipe', cutLater)
      res.on('newListener', event => event === 'drain' && cutLater())
      // The rest of its body never comes, so a handler that reads it waits for ever.
      if (isCutShort(req)) {
        if (req.listenerCount('data') > this.#inFront) cutLater()
        else req.on('newListener', event => event === 'data' && cutLater())
      }
      const writeHead: unknown = Reflect.get(res, 'writeHead')
      // Not by `replaceMethod`: what that throws, if the method cannot be replaced, would be uncaught here.
      Reflect.set(res, 'writeHead', (...args: unknown[]) => {
        cutLater()
        return call(writeHead, res, args)
      })
    }
  }

  release(): void {
    this.stop()
    void this.#settlement.release()
  }

  cut(): void {
    if (!this.#res.headersSent && this.#isSafe) return this.release()
    void this.#settlement.end(this.#recorder.finish(false))
  }

  stop(): void {
    this.#recorder.detach()
  }
}
