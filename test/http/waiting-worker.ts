// Two servers and their only client; prints how many more bytes of heap a request takes while it waits for its turn than while it is in its handler.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { dspinlock } from '@dspinlock/express'
import express, { type RequestHandler } from 'express'

const REQUESTS = 400
const { gc } = globalThis as unknown as { gc(this: void): void }

/** The growth for each of `REQUESTS` equal requests that nobody answers; what the client has of them is the same for both servers. */
async function weigh(handlers: readonly RequestHandler[]): Promise<number> {
  let missing = 0
  let onAll = (): void => {}
  const app = express()
  const count: RequestHandler = (_req, _res, next) => {
    next()
    if (--missing === 0) onAll()
  }
  app.get('/', count, ...handlers, () => {})
  const server = createServer(app).listen(0, '127.0.0.1')
  const sockets: Socket[] = []
  await once(server, 'listening')
  const ask = async (requests: number): Promise<number> => {
    missing = requests
    const all = new Promise<void>(resolve => {
      onAll = resolve
    })
    for (let asked = 0; asked < requests; asked++) {
      const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
      sockets.push(socket)
      socket.write('GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer 9b1deb4d3b7d4bad\r\n\r\n')
    }
    await all
    // Lets whatever is about to end do so, so that the next collection finds it.
    for (let round = 0; round < 5; round++) {
      await new Promise(resolve => setImmediate(resolve))
      gc()
    }
    return process.memoryUsage().heapUsed
  }
  // What is made once, at the first requests, does not count as part of any request.
  const before = await ask(100)
  const growth = ((await ask(REQUESTS)) - before) / REQUESTS
  // Otherwise every later collection would pass over all that is still open.
  for (const socket of sockets) socket.destroy()
  server.close()
  await once(server, 'close')
  return growth
}

// Compiled code and tables that grow or shrink disturb a measurement now and then, so the median is taken.
const [bare, guarded]: [number[], number[]] = [[], []]
for (let round = 0; round < 5; round++) {
  bare.push(await weigh([]))
  guarded.push(await weigh([dspinlock({ duplicates: 'serialise' })]))
}
const middleOf = (figures: number[]): number => figures.sort((a, b) => a - b)[2] ?? Number.NaN
process.send?.(middleOf(guarded) - middleOf(bare), () => process.exit())
