// Which requests are guarded at all.

import type { IncomingMessage } from 'node:http'

const UNSAFE: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])
/** These methods do no work of their own (RFC 9110, section 9.3), or take the connection over. */
const NEVER: ReadonlySet<string> = new Set(['HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])

/** In capitals, because on HTTP/2 a client may send it in any case, and routers take it all the same. */
export function methodOf({ method = '' }: IncomingMessage): string {
  return method.toUpperCase()
}

/**
 * On a route every request is guarded, app-wide those that change something, or else those that `methods` lists. Never guarded are
 * OPTIONS, TRACE, CONNECT, HEAD (unless `headFromGet` treats it as a GET), and a GET that opens a WebSocket or asks for a range, because
 * its answer is for one client only. With other methods, Range means nothing, and Upgrade was not acted on if the request gets here, so
 * no header is a way past the guard.
 */
export function isGuarded(
  req: IncomingMessage,
  methods: ReadonlySet<string> | undefined,
  onRoute: boolean,
  headFromGet: boolean,
): boolean {
  const method = headFromGet && req.method === 'HEAD' ? 'GET' : methodOf(req)
  if (methods === undefined ? !onRoute && !UNSAFE.has(method) : !methods.has(method)) return false
  if (NEVER.has(method)) return false
  // RFC 9110, section 14.2, defines ranges for GET alone; RFC 6455, section 4.1, has a WebSocket opened by a GET.
  return method !== 'GET' || (req.headers.range === undefined && !/\bwebsocket\b/i.test(req.headers.upgrade ?? ''))
}
