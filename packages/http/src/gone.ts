// Whether a client is left that could receive the response.

import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isHttp1 } from './versions.js'

/**
 * The object that emits `close` when the client is gone: the response, or the connection while the response still waits for its socket
 * behind others (then it emits nothing). Any number may wait on one connection, so the number of its listeners is not limited. Tools that
 * run an app without a server make up sockets, which may not be event emitters.
 */
export function lifeOf(res: ServerResponse): ServerResponse | Socket {
  const { socket } = res.req as { readonly socket?: Partial<Socket> }
  return (res.socket === null && socket?.setMaxListeners?.(0)) || res
}

/** Looks at the request's socket, because a response does not know on HTTP/2, nor while it waits behind others on its connection. */
export function isGone(req: IncomingMessage): boolean {
  return req.socket?.destroyed
}

/**
 * Whether no answer is wanted any more: the client left, or other code, for example a time limit, has answered. Node ends a connection a moment
 * before it destroys it if the client has ended its side. No answer leaves from then on, and body parsers take the request for one without a body.
 * On HTTP/2, where the response to a HEAD is ended from the start, `writable` says nothing.
 */
export function isOver({ req, res }: { readonly req: IncomingMessage; readonly res: ServerResponse }): boolean {
  return isGone(req) || res.writableEnded || (isHttp1(req) && req.socket?.writable === false)
}

/** Calls a listener when the client is gone or the response is over. It then has to call `offClose`, or the connection would keep it. */
export function onClose(res: ServerResponse, listener: () => void): void {
  // Not by `res.on`: some compressing middleware replaces it, and attaches listeners to another stream.
  EventEmitter.prototype.on.call(res, 'close', listener)
  const life = lifeOf(res)
  if (life !== res) life.on('close', listener)
}

/** Calls `over` once: when the client is gone or the response is over. */
export function whenOver(res: ServerResponse, over: () => void): void {
  const listener = (): void => {
    offClose(res, listener)
    over()
  }
  onClose(res, listener)
}

export function offClose(res: ServerResponse, listener: () => void): void {
  res.removeListener('close', listener)
  res.req.socket?.removeListener?.('close', listener)
}
