// Keeping a response's last bytes in this process for a moment, without the handler noticing.

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface HeldBack {
  /** `end` has returned: from now on the response says of itself what it says when its bytes have left. */
  hide(): void
  /** `end` has thrown: everything is as it would be without us. */
  undo(): void
  /** The bytes leave. */
  letGo(): void
}

/**
 * From now on nothing of `res` leaves. The response itself goes on as always: `end` ends it, and its events are those of an ended
 * response whose bytes are on their way.
 *
 * The socket is corked rather than `end` put off. OutgoingMessage.end uncorks the socket by force, which is why `uncork`
 * never undoes the last cork meanwhile; nobody else writes to the socket of a response in turn.
 */
export function holdBack(res: ServerResponse): HeldBack {
  let corked: Socket | undefined
  let released = false
  let hidden = false
  /** The client does not keep up: bytes of ours are the lesser part of what waits for it. */
  let isBehind = false
  const cork = (socket: Socket): void => {
    if (released) return
    corked = socket
    isBehind = socket.writableCorked === 0 && socket.writableLength > 0
    socket.cork()
    Object.assign(socket, {
      uncork: () => uncorkInner(socket),
      // A server that closes does it, too, and takes an ended response for one that has left: without us, it would have.
      destroy: (error?: Error) => {
        letGo()
        return socket.destroy(error)
      },
    })
    if (hidden && !isBehind) hideState(socket)
  }
  const restore = (): Socket | undefined => {
    released = true
    res.removeListener('socket', cork)
    if (corked === undefined) return undefined
    for (const name of ['uncork', 'destroy', 'writableLength', 'writableCorked']) Reflect.deleteProperty(corked, name)
    return corked
  }
  const letGo = (): void => {
    const socket = restore()
    while (socket !== undefined && socket.writableCorked > 0) socket.uncork()
  }
  if (res.socket !== null) cork(res.socket)
  // A pipelined response gets its socket when the one before it is through.
  else res.once('socket', cork)
  return {
    hide: () => {
      hidden = true
      if (corked !== undefined && !released && !isBehind) hideState(corked)
    },
    undo: () => restore()?.uncork(),
    letGo,
  }
}

/** Only after `end`, which itself reads the length to know whether anything is still to come. */
function hideState(socket: Socket): void {
  Object.defineProperties(socket, {
    writableLength: { get: () => 0, configurable: true },
    writableCorked: { get: () => readCorked(socket) - 1, configurable: true },
  })
}

function uncorkInner(socket: Socket): void {
  if (readCorked(socket) > 1) (Object.getPrototypeOf(socket) as Socket).uncork.call(socket)
}

/** Without what is defined on this one socket. */
function readCorked(socket: Socket): number {
  return Number(Reflect.get(Object.getPrototypeOf(socket) as object, 'writableCorked', socket))
}
