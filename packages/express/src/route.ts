// The route that a request came to, as a label for metrics: patterns, as far as Express tells them.

import type { Request } from 'express'

/** For each route, the segments of the paths under which its router was reached, by how many there are; `*` where they differ. */
const mounts = new WeakMap<object, string[][]>()

/** Undefined where no route was found yet: app-wide and router-wide. */
export function routeOf(req: Request): string | undefined {
  const route = req.route as { readonly path?: unknown } | undefined
  if (route === undefined || route === null) return undefined
  // A path may be a regular expression, or a list of paths.
  const path = String(route.path)
  return req.baseUrl === '' ? path : `${mountOf(route, req.baseUrl)}${path === '/' ? '' : path}`
}

/** Express tells where a router was reached, not the pattern by which: `/tenants/42` for `/tenants/:id`. */
function mountOf(route: object, baseUrl: string): string {
  // Behind a wildcard there may be thousands, and each number of them would be a route.
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

/** What an API's own paths are made of, as against ids: `orders`, `v2`. */
function isWord(segment: string): boolean {
  return /^(?:[a-z_-]*|v\d\d?)$/i.test(segment)
}
