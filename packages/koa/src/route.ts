// Reads what @koa/router tells about the route that a request came to.

import type { Context } from 'koa'

/** What @koa/router leaves on the context. */
interface Routed {
  /** The layers that match the request: routes, and what was mounted by `router.use`, which have no methods. */
  readonly matched?: readonly Layer[]
  /** The router that handles the request; its middleware in the app has it as a property, too. */
  readonly router?: unknown
  /** The path of the layer that runs. */
  readonly routerPath?: unknown
  /** The pattern of the route that matches best, with the prefixes of its routers: a string or a regular expression. */
  readonly _matchedRoute?: string | RegExp
}

interface Layer {
  readonly path: unknown
  readonly methods: readonly string[]
  readonly stack: readonly unknown[]
}

/** Undefined if no route was found yet: app-wide. */
export function routeOf(ctx: Context): string | undefined {
  const { _matchedRoute: matched } = ctx as unknown as Routed
  return matched?.toString()
}

/** Whether `middleware` runs as part of a route rather than app-wide or by `router.use`. */
export function isOnRoute(ctx: Context, middleware: unknown): boolean {
  const { matched, routerPath } = ctx as unknown as Routed
  if (matched === undefined || routerPath === undefined) return false
  let isHeld = false
  for (const { stack, methods } of matched) {
    if (!stack.includes(middleware)) continue
    if (methods.length > 0) return true
    isHeld = true
  }
  // If composed with others, it is in no stack itself.
  if (isHeld || isBehind(ctx, middleware)) return false
  return matched.some(layer => layer.methods.length > 0 && layer.path === routerPath)
}

/**
 * Whether the middleware is the app's and runs behind the router, because the route has called `next`. If the app has it before the router,
 * the route may have it as well.
 */
function isBehind(ctx: Context, middleware: unknown): boolean {
  const all = ctx.app.middleware as readonly { readonly router?: unknown }[]
  const { router } = ctx as unknown as Routed
  return all.findLastIndex(one => one === middleware) > all.findIndex(one => one.router === router)
}
