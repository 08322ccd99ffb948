// Keeping a response's last bytes in this process for a moment, without the handler noticing.

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * From now on nothing of `res` leaves until the returned function is called. The response itself goes on as always: `end`
 * ends it, its state and its events are those of an ended response whose bytes are on their way.
 *
 * The socket is corked rather than `end` put off. OutgoingMessage.end uncorks the socket by force, which is why `uncork`
 * is out of order meanwhile; nobody else writes to the socket of a response in turn.
 */
export function holdBack(res: ServerResponse): () => void {
  let corked: Socket | undefined
  let released = false
  const cork = (socket: Socket): void => {
    if (released) return
    corked = socket
    // Corked bytes would leave with the end; others wait for a client that does not keep up.
    const writableLength = socket.writableCorked > 0 ? 0 : socket.writableLength
    socket.cork()
    Object.defineProperties(socket, {
      uncork: { value: () => {}, configurable: true, writable: true },
      // What the response says of itself after its end.
      writableLength: { get: () => writableLength, configurable: true },
      writableCorked: { get: () => readCorked(socket) - 1, configurable: true },
    })
  }
  if (res.socket !== null) cork(res.socket)
  // A pipelined response gets its socket when the one before it is through.
  else res.once('socket', cork)
  return () => {
    released = true
    res.removeListener('socket', cork)
    if (corked === undefined) return
    for (const name of ['uncork', 'writableLength', 'writableCorked']) Reflect.deleteProperty(corked, name)
    while (corked.writableCorked > 0) corked.uncork()
  }
}

/** Without what is defined on this one socket. */
function readCorked(socket: Socket): number {
  return Number(Reflect.get(Object.getPrototypeOf(socket) as object, 'writableCorked', socket))
}
