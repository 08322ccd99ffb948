// The guard on node:http, without a framework: what every adapter is built on.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createGuard, type Guard, type GuardOptions, type RequestLock } from '@dspinlock/http'

export type Handle = (req: IncomingMessage, res: ServerResponse, lock: RequestLock | undefined) => void

export interface GuardedHandle {
  readonly guard: Guard<IncomingMessage, ServerResponse>
  /** Guards as on a route: all methods that can be guarded. */
  readonly handle: (req: IncomingMessage, res: ServerResponse) => void
}

export function guardHandle(options: GuardOptions, handle: Handle): GuardedHandle {
  const guard = createGuard(options)
  return {
    guard,
    handle: (req, res) => {
      if (!guard.guards(req, true)) return handle(req, res, undefined)
      let lock: RequestLock | undefined
      void guard.handle({
        req,
        res,
        request: req,
        response: res,
        url: req.url ?? '',
        onRoute: true,
        isParsed: false,
        parsedBody: undefined,
        expose: exposed => {
          lock = exposed
        },
        proceed: () => handle(req, res, lock),
        fail: error => {
          res.statusCode = 500
          res.end(`failed: ${error instanceof Error ? error.message : String(error)}`)
        },
      })
    },
  }
}
