// Whether there is anybody left who could receive a response.

import type { IncomingMessage } from 'node:http'

/** Asked of what Node calls its socket: a response says nothing of it on HTTP/2, nor while it stands behind others of its connection. */
export function isGone(req: IncomingMessage): boolean {
  return req.socket?.destroyed
}
