// Which requests are guarded at all.

import type { IncomingMessage } from 'node:http'

const UNSAFE: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
/** They carry no work of their own (RFC 9110, section 9.3), or take the connection over. */
const NEVER: ReadonlySet<string> = new Set(['HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])

/**
 * `headFromGet`: a HEAD is what a GET is. On a route everything that reaches it; app-wide what changes something; or what `methods` lists. Never HEAD, OPTIONS, TRACE,
 * CONNECT, and of GETs neither one that opens a WebSocket nor one for a range, whose answer is one client's own. What else asks for
 * an upgrade and gets here was not upgraded, and a range means nothing to other methods: neither opens a way past the guard.
 */
export function isGuarded(
  req: IncomingMessage,
  methods: ReadonlySet<string> | undefined,
  onRoute: boolean,
  headFromGet: boolean,
): boolean {
  const method = headFromGet && req.method === 'HEAD' ? 'GET' : (req.method ?? '')
  if (methods === undefined ? !onRoute && !UNSAFE.has(method) : !methods.has(method)) return false
  if (NEVER.has(method)) return false
  // RFC 9110, section 14.2, defines ranges for GET alone; RFC 6455, section 4.1, has a WebSocket opened by a GET.
  return method !== 'GET' || (req.headers.range === undefined && !/\bwebsocket\b/i.test(req.headers.upgrade ?? ''))
}
