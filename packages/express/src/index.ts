// dspinlock for Express 5 and 4: the framework's request and response, translated; nothing else.

import type { LockEngine } from '@dspinlock/core'
import {
  createGuard,
  type Exchange,
  type GuardOptions,
  listFiles,
  type RequestLock,
  standsForBody,
} from '@dspinlock/http'
import type { NextFunction, Request, RequestHandler, Response } from 'express'

export {
  ClosedError,
  channels,
  DspinlockError,
  type Duplicates,
  LockEngine,
  type MemoryStoreOptions,
  memoryStore,
  type Store,
  StoreError,
  WaiterLimitError,
  WaitTimeoutError,
} from '@dspinlock/core'
export {
  type IdempotencyKeyOptions,
  type IdempotencyPolicy,
  type IdentityOption,
  idempotencyPolicy,
  type Problem,
  type RequestLock,
} from '@dspinlock/http'

export type DspinlockOptions = GuardOptions<Request, Response>

declare global {
  namespace Express {
    interface Request {
      /** The lock that this request runs under; undefined where dspinlock did not guard it. */
      dspinlock?: RequestLock
    }
  }
}

export interface DspinlockHandler extends RequestHandler {
  readonly engine: LockEngine
  /** Refuses newcomers with 503 and lets holders finish. A store that was given stays open. */
  close(): Promise<void>
}

/**
 * Middleware: of many duplicate requests one runs. App-wide (`app.use`) it guards POST, PUT, PATCH and DELETE, on a route
 * every request that reaches it. Where several are mounted, the one nearest to the handler decides.
 * @throws TypeError naming option and value for wrong options.
 */
export function dspinlock(options?: DspinlockOptions): DspinlockHandler {
  const guard = createGuard<Request, Response>(options)
  const handler = (req: Request, res: Response, next: NextFunction): void => {
    // Express sets `route` while a route's own handlers run; app-wide and router-wide there is none.
    const onRoute = req.route !== undefined
    if (guard.guards(req, onRoute)) void guard.handle(translate(req, res, next, onRoute))
    else next()
  }
  return Object.assign(handler, { engine: guard.engine, close: () => guard.close() })
}

function translate(req: Request, res: Response, next: NextFunction, onRoute: boolean): Exchange<Request, Response> {
  return {
    req,
    res,
    request: req,
    response: res,
    url: req.originalUrl,
    onRoute,
    isParsed: isParsed(req),
    parsedBody: hasFiles(req) ? { body: req.body as unknown, files: listFiles([req.file, req.files]) } : req.body,
    expose: lock => {
      req.dspinlock = lock
    },
    proceed: next,
    fail: next,
  }
}

/** What multer leaves beside the fields. */
interface Uploads {
  readonly file?: unknown
  readonly files?: unknown
}

function hasFiles(req: Request & Uploads): req is Request & Required<Uploads> {
  return req.file !== undefined || req.files !== undefined
}

/** body-parser 1 (Express 4) says so when it did parse; body-parser 2 leaves undefined when it did not. */
function isParsed(req: Request): boolean {
  const saysSo = (req as unknown as { _body?: boolean })._body === true
  return standsForBody(req, { body: req.body as unknown, hasFiles: hasFiles(req), saysSo })
}
