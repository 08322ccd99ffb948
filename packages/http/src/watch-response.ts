// Watching Node's own response for the end of a hold: from its first byte until its last one is on its way.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { Recorder, type Recording } from './recorder.js'
import { isSafeMethod } from './replayable.js'
import type { Ending } from './request-state.js'
import type { Outcome, Settlement } from './settlement.js'

export interface Watching extends Ending {
  /** Sees and says nothing any more; the hold is somebody else's to end. */
  stop(): void
}

export function watchResponse(
  req: IncomingMessage,
  res: ServerResponse,
  settlement: Pick<Settlement, 'keepsBody' | 'maxRecordBytes' | 'settleTimeoutMs' | 'holdsBack' | 'end' | 'release'>,
): Watching {
  // HTTP/2 has no socket of its own to hold back.
  const isHeldBack = settlement.holdsBack && req.httpVersionMajor < 2
  // What is set after the head was written changes nothing any more.
  const statusOf = ({ head }: Recording): number => head?.status ?? res.statusCode
  const recorder = new Recorder(res, {
    keepsBody: settlement.keepsBody,
    maxBytes: settlement.maxRecordBytes,
    holdsBack: isHeldBack,
    onEnd: (recording, letGo) => {
      const settled = settlement.end({ ...recording, status: statusOf(recording), complete: true })
      if (letGo === undefined) return
      if (settled === undefined) letGo()
      else void settled.then(letGo)
    },
    onAbandoned: hasHead => {
      // Before its head nothing is known of the work, and it may go on: the hold stays until it ends, or maxHoldMs.
      if (!hasHead) return
      // After it, whoever fed the response (a pipe, say) may have stopped for good. A handler that goes on ends it soon.
      setTimeout(() => {
        void settlement.end(cutShort())
      }, settlement.settleTimeoutMs).unref()
    },
  })
  const cutShort = (): Outcome => {
    const { recording } = recorder
    return { ...recording, status: statusOf(recording), complete: false }
  }
  // Middleware further in may change the request.
  const isSafe = isSafeMethod(req.method)
  const release = (): void => {
    recorder.detach()
    void settlement.release()
  }
  const cut = (): void => {
    if (!res.headersSent && isSafe) return release()
    const outcome = cutShort()
    recorder.detach()
    void settlement.end(outcome)
  }
  return { release, cut, stop: () => recorder.detach() }
}
