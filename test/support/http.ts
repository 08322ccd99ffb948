// Real servers and real requests for tests.

import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type RequestListener,
  request,
} from 'node:http'
import { createRequire } from 'node:module'
import { connect, type Socket } from 'node:net'
import { buffer } from 'node:stream/consumers'
import express, { type Express } from 'express'

/** Express 4 has the same types in everything that tests use. */
const express4 = createRequire(import.meta.url)('express4') as typeof express

export const frameworks: readonly { readonly name: string; readonly express: typeof express }[] = [
  { name: 'Express 5', express },
  { name: 'Express 4', express: express4 },
]

export interface Answer {
  readonly status: number
  readonly message: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly bytes: Buffer
}

export interface Ask {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
}

export interface TestServer {
  readonly port: number
  ask(path: string, ask?: Ask): Promise<Answer>
  /** Sends raw bytes; the caller owns the socket. */
  dial(bytes: string): Promise<Socket>
  /** Resolves once the server sees the next of its connections closed. */
  left(): Promise<void>
  stop(): Promise<void>
}

const agent = new Agent({ keepAlive: false, maxSockets: 500 })

export async function serve(app: Express | RequestListener): Promise<TestServer> {
  const server = createServer(app as RequestListener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  let leaving = new Gate()
  server.on('connection', socket => {
    socket.once('close', () => {
      leaving.open()
      leaving = new Gate()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  const { port } = address
  return {
    port,
    ask: (path, ask) => send(port, path, ask),
    dial: async bytes => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(bytes)
      return socket
    },
    left: () => leaving.opened,
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

export async function send(port: number, path: string, ask: Ask = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body } = ask
  const outgoing = request({ host: '127.0.0.1', port, method, path, headers, agent })
  outgoing.end(body)
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
  const bytes = await buffer(incoming)
  return {
    status: incoming.statusCode ?? 0,
    message: incoming.statusMessage ?? '',
    headers: incoming.headers,
    bytes,
    body: bytes.toString(),
  }
}

/** An event that can be awaited however early it happens. */
export class Gate {
  readonly opened: Promise<void>
  open: () => void = () => {}

  constructor() {
    this.opened = new Promise(resolve => {
      this.open = resolve
    })
  }
}

/** Waits until `holds` is true, and looks again in every turn of the event loop; fails after 5 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`still not so after 5 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

export const json = (value: unknown, headers: Record<string, string> = {}): Ask => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(value),
})
