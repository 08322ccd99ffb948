// Whether this Node ends a corked response before its last chunks, as Node 22 and 24 do.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { readResponse } from './wire.js'

/**
 * Such a Node sends the chunk that ends the body before the chunks that wait for `uncork`, if a response is ended while
 * corked, or after more calls of `uncork` than of `cork`. Clients get the body without them; a replay has all that was written.
 */
export const endsCorkedTooEarly: boolean = await probe()

async function probe(): Promise<boolean> {
  const server = createServer((_req, res) => {
    res.flushHeaders()
    res.cork()
    res.end('late')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const socket = connect(address.port, '127.0.0.1')
  socket.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  const { body, afterEnd } = readResponse(await text(socket))
  server.close()
  if (body + afterEnd !== 'late') throw new Error(`a corked response arrived as ${JSON.stringify([body, afterEnd])}`)
  return afterEnd !== ''
}
