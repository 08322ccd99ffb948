// Watching Node's own response for the end of a hold: from its first byte until its last one is on its way.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { readStatus } from './head-encoding.js'
import { Recorder, type Recording, type RecordingOwner } from './recorder.js'
import { isSafeMethod } from './replayable.js'
import type { Ending } from './request-state.js'
import type { Outcome, Settlement } from './settlement.js'

export interface Watching extends Ending {
  /** Sees and says nothing any more; the hold is somebody else's to end. */
  stop(): void
}

/** `keepsBody`: as the settlement says, unless somebody else keeps it. */
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
  /** Middleware further in may change the request. */
  readonly #isSafe: boolean

  constructor(req: IncomingMessage, res: ServerResponse, settlement: Settlement, keepsBody: boolean) {
    this.keepsBody = keepsBody
    this.maxBytes = settlement.maxRecordBytes
    // HTTP/2 has no socket of its own to hold back.
    this.holdsBack = settlement.holdsBack && req.httpVersionMajor < 2
    this.#res = res
    this.#settlement = settlement
    this.#isSafe = isSafeMethod(req.method)
    this.#recorder = new Recorder(res, this)
  }

  onEnd(recording: Recording, letGo: (() => void) | undefined): void {
    const settled = this.#settlement.end(this.#outcomeOf(recording, true))
    if (letGo === undefined) return
    if (settled === undefined) letGo()
    else void settled.then(letGo)
  }

  onAbandoned(hasHead: boolean): void {
    // Before its head nothing is known of the work, and it may go on: the hold stays until it ends, or maxHoldMs.
    if (!hasHead) return
    // After it, whoever fed the response (a pipe, say) may have stopped for good. A handler that goes on ends it soon.
    setTimeout(() => {
      void this.#settlement.end(this.#outcomeOf(this.#recorder.recording, false))
    }, this.#settlement.settleTimeoutMs).unref()
  }

  release(): void {
    this.#recorder.detach()
    void this.#settlement.release()
  }

  cut(): void {
    if (!this.#res.headersSent && this.#isSafe) return this.release()
    const outcome = this.#outcomeOf(this.#recorder.recording, false)
    this.#recorder.detach()
    void this.#settlement.end(outcome)
  }

  stop(): void {
    this.#recorder.detach()
  }

  #outcomeOf(recording: Recording, complete: boolean): Outcome {
    // What is set after the head was written changes nothing any more.
    return { ...recording, status: recording.head?.status ?? readStatus(this.#res), complete }
  }
}
