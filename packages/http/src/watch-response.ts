// Watching Node's own response for the end of a hold: from its first byte until its last one is on its way.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { holdBack } from './hold-back.js'
import { Recorder } from './recorder.js'
import { isSafeMethod } from './replayable.js'
import type { Ending } from './request-state.js'
import type { Settlement } from './settlement.js'

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
  const recorder = new Recorder(res, {
    keepsBody: settlement.keepsBody,
    maxBytes: settlement.maxRecordBytes,
    beforeEnd: () => (isHeldBack ? holdBack(res) : undefined),
    onEnd: (recording, letGo) => {
      const settled = settlement.end({ ...recording, status: res.statusCode, complete: true })
      if (letGo === undefined) return
      if (settled === undefined) letGo()
      else void settled.then(letGo)
    },
    onAbandoned: hasHead => {
      // Before its head nothing is known of the work, and it may go on: the hold stays until it ends, or maxHoldMs.
      if (!hasHead) return
      // After it, whoever fed the response (a pipe, say) may have stopped for good. A handler that goes on ends it soon.
      setTimeout(() => {
        void settlement.end({ ...recorder.recording, status: res.statusCode, complete: false })
      }, settlement.settleTimeoutMs).unref()
    },
  })
  // Middleware further in may change the request.
  const isSafe = isSafeMethod(req.method)
  const release = (): void => {
    recorder.detach()
    void settlement.release()
  }
  const cut = (): void => {
    if (!res.headersSent && isSafe) return release()
    const { recording } = recorder
    recorder.detach()
    void settlement.end({ ...recording, status: res.statusCode, complete: false })
  }
  return { release, cut, stop: () => recorder.detach() }
}
