// A Koa request in the words of @dspinlock/http.

import { type Exchange, readParsedBody } from '@dspinlock/http'
import type { Context } from 'koa'

type Facts = Pick<
  Exchange<Context, Context>,
  'req' | 'res' | 'request' | 'response' | 'url' | 'currentUrl' | 'onRoute' | 'route' | 'isParsed' | 'parsedBody'
>

export function translate(ctx: Context, onRoute: boolean): Facts {
  const left = ctx.request as Parsed
  return {
    req: ctx.req,
    res: ctx.res,
    request: ctx,
    response: ctx,
    // As the client sent it: koa-mount and rewriting middleware change `url` and `path`.
    url: ctx.originalUrl,
    currentUrl: ctx.url,
    onRoute,
    route: () => routeOf(ctx),
    // @koa/bodyparser leaves what it read beside what it made of it, and `{}` alone for what it does not parse.
    ...readParsedBody(ctx.req, left, left.rawBody !== undefined),
  }
}

/** What @koa/bodyparser, koa-body and @koa/multer leave on `ctx.request`. */
interface Parsed {
  readonly body?: unknown
  readonly rawBody?: unknown
  readonly file?: unknown
  readonly files?: object
}

/** What @koa/router leaves on the context. */
interface Routed {
  /** The layers that match the request: routes, and what was mounted by `router.use`, which have no methods. */
  readonly matched?: readonly Layer[]
  /** Of the layer that runs. */
  readonly routerPath?: unknown
  /** The pattern of the route that matches best, with the prefixes of its routers: a string or a regular expression. */
  readonly _matchedRoute?: string | RegExp
}

/** Undefined where no route was found yet: app-wide. */
function routeOf(ctx: Context): string | undefined {
  const { _matchedRoute: matched } = ctx as unknown as Routed
  return matched?.toString()
}

interface Layer {
  readonly path: unknown
  readonly methods: readonly string[]
  readonly stack: readonly unknown[]
}

/** Whether `middleware` runs as part of a route rather than app-wide or by `router.use`. */
export function isOnRoute(ctx: Context, middleware: unknown): boolean {
  const { matched, routerPath } = ctx as unknown as Routed
  if (matched === undefined || routerPath === undefined) return false
  const holders = matched.filter(layer => layer.stack.includes(middleware))
  if (holders.length > 0) return holders.some(layer => layer.methods.length > 0)
  // Composed with others, it is in no stack itself.
  return matched.some(layer => layer.methods.length > 0 && layer.path === routerPath)
}
