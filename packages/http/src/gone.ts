// Whether there is anybody left who could receive a response.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** What closes when there is nobody left. One that stands behind others of its connection, of which there may be any number, is never closed if that is. */
export function lifeOf(res: ServerResponse): ServerResponse | Socket {
  return res.socket === null ? res.req.socket.setMaxListeners(0) : res
}

/** Asked of what Node calls its socket: a response says nothing of it on HTTP/2, nor while it stands behind others of its connection. */
export function isGone(req: IncomingMessage): boolean {
  return req.socket?.destroyed
}
