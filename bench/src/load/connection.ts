// A keep-alive connection with one request on it at a time; it does as little work as possible, so that the server is what is measured.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export interface Answer {
  readonly status: number
  readonly bytes: number
}

export class Connection {
  readonly #socket: Socket
  #received: Buffer | undefined
  #onAnswer: ((answer: Answer) => void) | undefined
  #onFailure: ((error: Error) => void) | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', data => this.#onData(data))
    const fail = (error: Error): void => this.#onFailure?.(error)
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the server closed the connection before its answer was complete')))
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Uses a callback, because a promise for each request would be a good part of the work. */
  send(request: Buffer, onAnswer: (answer: Answer) => void, onFailure: (error: Error) => void): void {
    this.#onAnswer = onAnswer
    this.#onFailure = onFailure
    this.#socket.write(request)
  }

  close(): void {
    this.#onFailure = undefined
    this.#socket.destroy()
  }

  #onData(data: Buffer): void {
    const received = this.#received === undefined ? data : Buffer.concat([this.#received, data])
    const answer = readAnswer(received)
    this.#received = answer === undefined ? received : undefined
    if (answer !== undefined) this.#onAnswer?.(answer)
  }
}

/** Undefined until the whole response has arrived. */
export function readAnswer(bytes: Buffer): Answer | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const status = Number(head.slice(9, 12))
  const bodyAt = headEnd + 4
  if (status === 204 || status === 304) return { status, bytes: 0 }
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) {
    const end = bodyAt + Number(length)
    return bytes.length >= end ? { status, bytes: Number(length) } : undefined
  }
  if (!/\r\ntransfer-encoding: *chunked/i.test(head)) throw new Error(`an answer without a length:\n${head}`)
  // Bodies are JSON text here, so the last chunk's mark does not occur inside them.
  return bytes.indexOf('0\r\n\r\n', bodyAt) >= 0 ? { status, bytes: bytes.length - bodyAt } : undefined
}
