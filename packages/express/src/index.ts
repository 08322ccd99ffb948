// dspinlock for Express 5 and 4: translates the framework's request and response, and does nothing else.

import type { LockEngine } from '@dspinlock/core'
import { createGuard, type Exchange, type GuardOptions, type RequestLock, readParsedBody } from '@dspinlock/http'
import type { NextFunction, Request, Response } from 'express'
import { routeOf } from './route.js'

export * from '@dspinlock/http/for-users'

export type DspinlockOptions = GuardOptions<Request, Response>

declare global {
  namespace Express {
    interface Request {
      /** The lock that this request runs under; undefined if dspinlock did not guard it. */
      dspinlock?: RequestLock
    }
  }
}

export interface DspinlockHandler {
  /** Generic, so that handlers after it on a route keep the types of the route's parameters, of their bodies and of their locals. */
  <P, ResBody, ReqBody, ReqQuery, Locals extends object>(
    req: Request<P, ResBody, ReqBody, ReqQuery, Locals>,
    res: Response<ResBody, Locals>,
    next: NextFunction,
  ): void
  readonly engine: LockEngine
  /**
   * Refuses newcomers with 503 and lets holders finish; of several that share a store, only the last one to be closed does. A store that
   * was given stays open, and so does an engine, which then has a `close()` for this.
   */
  close(): Promise<void>
}

/**
 * Middleware: of many duplicate requests, one runs. App-wide (`app.use`) it guards POST, PUT, PATCH and DELETE, on a route
 * every request that reaches it. If several are mounted, the one nearest to the handler decides.
 * @throws TypeError naming option and value for wrong options.
 */
export function dspinlock(options?: DspinlockOptions): DspinlockHandler {
  const guard = createGuard<Request, Response>(options)
  const handler = (req: Request, res: Response, next: NextFunction): void => {
    // Express sets `route` for a route's own handlers, and leaves it set when they hand on (docs/express.md). Read by Reflect.get, because
    // each Express request has a hidden class of its own, so that the inline cache of `req.route` would only miss.
    const onRoute = Reflect.get(req, 'route') !== undefined
    if (guard.guards(req, onRoute)) void guard.handle(new ExpressExchange(req, res, next, onRoute))
    else next()
  }
  return Object.assign(handler, { engine: guard.engine, close: () => guard.close() }) as DspinlockHandler
}

class ExpressExchange implements Exchange<Request, Response> {
  readonly req: Request
  readonly res: Response
  readonly setsPrototypes = true
  readonly onRoute: boolean
  readonly url: string
  readonly currentUrl: string
  readonly isParsed: boolean
  readonly parsedBody: unknown
  readonly proceed: NextFunction
  readonly fail: NextFunction

  constructor(req: Request, res: Response, next: NextFunction, onRoute: boolean) {
    this.req = req
    this.res = res
    this.onRoute = onRoute
    this.url = req.originalUrl
    this.currentUrl = req.baseUrl + req.url
    const { isParsed, parsedBody } = readParsedBody(req, req)
    this.isParsed = isParsed
    this.parsedBody = parsedBody
    this.proceed = next
    this.fail = next
  }

  get request(): Request {
    return this.req
  }

  get response(): Response {
    return this.res
  }

  route(): string | undefined {
    return routeOf(this.req)
  }

  expose(lock: RequestLock): void {
    this.req.dspinlock = lock
  }
}
