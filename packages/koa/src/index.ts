// dspinlock for Koa 3 and 2: middleware that works at its place in the onion.

import type { LockEngine } from '@dspinlock/core'
import { createGuard, type GuardOptions, type RequestLock, type Settlement } from '@dspinlock/http'
import type { Context, Middleware, Next } from 'koa'
import { setAnswer } from './answer.js'
import { prepareDownstream } from './downstream.js'
import { isOnRoute, translate } from './translate.js'

export * from '@dspinlock/http/for-users'

/** Where an option takes a function of request and response, it is given the context for both. */
export type DspinlockOptions = GuardOptions<Context, Context>

declare module 'koa' {
  interface DefaultState {
    /** The lock that this request runs under; undefined where dspinlock did not guard it. */
    dspinlock?: RequestLock
  }
}

export type DspinlockMiddleware = Middleware & {
  readonly engine: LockEngine
  /** Refuses newcomers with 503 and lets holders finish. A store that was given stays open. */
  close(): Promise<void>
}

/**
 * Middleware: of many duplicate requests one runs. App-wide (`app.use`) it guards POST, PUT, PATCH and DELETE, on a route of
 * @koa/router every request that reaches it. Where several are mounted, the one nearest to the handler decides. What is
 * mounted outside applies to a replay as it does to the original.
 * @throws TypeError naming option and value for wrong options.
 */
export function dspinlock(options?: DspinlockOptions): DspinlockMiddleware {
  const guard = createGuard<Context, Context>(options)
  const middleware = (ctx: Context, next: Next): Promise<void> => {
    const onRoute = isOnRoute(ctx, middleware)
    return guard.guards(ctx.req, onRoute) ? seeThrough(ctx, next, onRoute) : next()
  }
  const seeThrough = async (ctx: Context, next: Next, onRoute: boolean): Promise<void> => {
    let goesOn = false
    let failure: { readonly error: unknown } | undefined
    let downstream = next
    const handled = guard.handle({
      ...translate(ctx, onRoute),
      expose: lock => {
        ctx.state.dspinlock = lock
      },
      answer: reply => setAnswer(ctx, reply),
      watch: (settlement: Settlement) => {
        const prepared = prepareDownstream(ctx, settlement)
        downstream = () => prepared.through(next)
        const release = (): void => {
          prepared.stop()
          void settlement.release()
        }
        return { release, cut: release }
      },
      proceed: () => {
        goesOn = true
      },
      fail: error => {
        failure = { error }
      },
    })
    if (handled !== undefined) await handled
    if (failure !== undefined) throw failure.error
    if (goesOn) await downstream()
  }
  return Object.assign(middleware, { engine: guard.engine, close: () => guard.close() })
}
