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
    socket.cork()
    Object.defineProperty(socket, 'uncork', { value: () => {}, configurable: true, writable: true, enumerable: false })
  }
  if (res.socket !== null) cork(res.socket)
  // A pipelined response gets its socket when the one before it is through.
  else res.once('socket', cork)
  return () => {
    released = true
    res.removeListener('socket', cork)
    if (corked === undefined) return
    Reflect.deleteProperty(corked, 'uncork')
    while (corked.writableCorked > 0) corked.uncork()
  }
}
