// Names the route that a request came to, as a label for metrics: by its pattern, as far as Express tells it.

import type { Request } from 'express'

/** For each route, the segments of the paths under which its router was reached, indexed by their number; `*` where the paths differ. */
const mounts = new WeakMap<object, string[][]>()

/** Undefined if no route was found yet: app-wide and router-wide. */
export function routeOf(req: Request): string | undefined {
  const route = req.route as { readonly path?: unknown } | undefined
  if (route === undefined || route === null) return undefined
  // A path may be a regular expression, or a list of paths.
  const path = String(route.path)
  return req.baseUrl === '' ? path : `${mountOf(route, req.baseUrl)}${path === '/' ? '' : path}`
}

/** Express tells the path under which a router was reached, not its pattern: `/tenants/42` for `/tenants/:id`. */
function mountOf(route: object, baseUrl: string): string {
  // A wildcard may match thousands of segments, and each different number of them would be a label of its own.
  const segments = baseUrl.split('/', 16)
  const byLength = mounts.get(route) ?? []
  mounts.set(route, byLength)
  const known = byLength[segments.length]
  const learned = segments.map((segment, at) =>
    (known === undefined ? isWord(segment) : segment === known[at]) ? segment : '*',
  )
  byLength[segments.length] = learned
  return learned.join('/')
}

/** Whether a segment looks like part of the API's own paths, rather than an id: `orders`, `v2`. */
function isWord(segment: string): boolean {
  return /^(?:[a-z_-]*|v\d\d?)$/i.test(segment)
}
