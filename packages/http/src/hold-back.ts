// Keeps a response's last bytes in this process for a moment, without the handler noticing.

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface HeldBack {
  /** To be called when `end` has returned: from now on the response looks as if its bytes had left. */
  hide(): void
  /** To be called when `end` has thrown: restores everything to what it would be without us. */
  undo(): void
  /** Lets the bytes leave. */
  readonly letGo: () => void
}

/**
 * From now on no bytes of `res` leave. The response itself goes on as always: `end` ends it, and its events are those of an ended
 * response whose bytes are on their way.
 *
 * The socket is corked, rather than `end` put off. OutgoingMessage.end uncorks the socket by force, so meanwhile `uncork` is replaced
 * by one that never undoes the last cork. While it is this response's turn, nothing else writes to the socket.
 */
export function holdBack(res: ServerResponse): HeldBack {
  let corked: Socket | undefined
  let hidden = false
  /** The client does not keep up: most of the bytes that wait in the socket are earlier ones, which are not held back. */
  let isBehind = false
  const cork = (socket: Socket): void => {
    corked = socket
    isBehind = socket.writableCorked === 0 && socket.writableLength > 0
    socket.cork()
    Object.assign(socket, {
      uncork: () => uncorkInner(socket),
      // A server that closes calls this, too: it takes an ended response for one whose bytes have left, as they would have without us.
      destroy: (error?: Error) => {
        letGo()
        return socket.destroy(error)
      },
    })
    if (hidden && !isBehind) hideState(socket)
  }
  const restore = (): Socket | undefined => {
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
  // A pipelined response gets its socket when the response before it has ended.
  else res.once('socket', cork)
  return {
    hide: () => {
      hidden = true
      if (corked !== undefined && !isBehind) hideState(corked)
    },
    undo: () => restore()?.uncork(),
    letGo,
  }
}

/** Properties of a socket that hide that bytes are held back; made once, because to make them takes longer than to define them. */
const hiddenLength = { value: 0, configurable: true }
const hiddenCork = {
  get(this: Socket): number {
    return readCorked(this) - 1
  },
  configurable: true,
}

/** To be called only after `end`, which itself reads the length to know whether bytes are still to be sent. */
function hideState(socket: Socket): void {
  Object.defineProperty(socket, 'writableLength', hiddenLength)
  Object.defineProperty(socket, 'writableCorked', hiddenCork)
}

function uncorkInner(socket: Socket): void {
  if (readCorked(socket) > 1) (Object.getPrototypeOf(socket) as Socket).uncork.call(socket)
}

/** The real value, without the properties that were defined on this one socket. */
function readCorked(socket: Socket): number {
  return Number(Reflect.get(Object.getPrototypeOf(socket) as object, 'writableCorked', socket))
}
