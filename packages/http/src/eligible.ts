// Which requests are guarded at all.

import type { IncomingMessage } from 'node:http'

const UNSAFE: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
/** They carry no work of their own (RFC 9110, section 9.3), or take the connection over. */
const NEVER: ReadonlySet<string> = new Set(['HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])

/**
 * `headFromGet`: a HEAD is what a GET is. On a route everything that reaches it; app-wide what changes something; or what `methods` lists. Never HEAD, OPTIONS, TRACE,
 * CONNECT, an upgrade, or a request for a range, whose answer is one client's own.
 */
export function isGuarded(
  req: IncomingMessage,
  methods: ReadonlySet<string> | undefined,
  onRoute: boolean,
  headFromGet: boolean,
): boolean {
  const method = headFromGet && req.method === 'HEAD' ? 'GET' : (req.method ?? '')
  if (methods === undefined ? !onRoute && !UNSAFE.has(method) : !methods.has(method)) return false
  return !NEVER.has(method) && req.headers.upgrade === undefined && req.headers.range === undefined
}
