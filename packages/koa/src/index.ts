// dspinlock for Koa 3 and 2: middleware that works at its place in the onion.

import type { LockEngine } from '@dspinlock/core'
import { createGuard, type GuardOptions, type RequestLock } from '@dspinlock/http'
import type { Context, Middleware, Next } from 'koa'
import { KoaExchange } from './exchange.js'
import { isOnRoute } from './route.js'

export * from '@dspinlock/http/for-users'

/** Functions among the options that take request and response are given the context for both. */
export type DspinlockOptions = GuardOptions<Context, Context>

declare module 'koa' {
  interface DefaultState {
    /** The lock that this request runs under; undefined if dspinlock did not guard it. */
    dspinlock?: RequestLock
  }
}

export type DspinlockMiddleware = Middleware & {
  readonly engine: LockEngine
  /**
   * Refuses newcomers with 503 and lets holders finish; of several that share a store, only the last one to be closed does. A store that
   * was given stays open, and so does an engine, which then has a `close()` for this.
   */
  close(): Promise<void>
}

/**
 * Middleware: of many duplicate requests, one runs. App-wide (`app.use`) it guards POST, PUT, PATCH and DELETE, on a route of
 * @koa/router every request that reaches it. If several are mounted, the one nearest to the handler decides. Middleware
 * mounted outside applies to a replay as it does to the original.
 * @throws TypeError naming option and value for wrong options.
 */
export function dspinlock(options?: DspinlockOptions): DspinlockMiddleware {
  const guard = createGuard<Context, Context>(options)
  const middleware = (ctx: Context, next: Next): Promise<void> => {
    const onRoute = isOnRoute(ctx, middleware)
    if (!guard.guards(ctx.req, onRoute)) return next()
    const exchange = new KoaExchange(ctx, next, onRoute)
    const handled = guard.handle(exchange)
    return handled === undefined ? exchange.goOn() : handled.then(() => exchange.goOn())
  }
  return Object.assign(middleware, { engine: guard.engine, close: () => guard.close() })
}
