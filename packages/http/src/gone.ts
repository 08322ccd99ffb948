// Whether there is anybody left who could receive a response.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * What emits `close` when there is nobody left: the response, or the connection for a response that still waits behind others for its
 * socket, and emits nothing. Any number may wait on one connection, so there is no limit to its listeners.
 */
export function lifeOf(res: ServerResponse): ServerResponse | Socket {
  return res.socket === null ? res.req.socket.setMaxListeners(0) : res
}

/** Asked of the request's socket: a response does not know on HTTP/2, nor while it waits behind others on its connection. */
export function isGone(req: IncomingMessage): boolean {
  return req.socket?.destroyed
}
