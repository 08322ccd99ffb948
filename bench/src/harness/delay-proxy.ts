// A TCP proxy with the delay of a network in it, for the process that it runs in.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { answerCalls } from './remote.js'

/** Later data never overtakes earlier data, and data that is due together leaves together. */
class Line {
  readonly #to: Socket
  readonly #delayMs: number
  #queue: { readonly data: Buffer; readonly due: number }[] = []
  #timer: NodeJS.Timeout | NodeJS.Immediate | undefined

  constructor(to: Socket, delayMs: number) {
    this.#to = to
    this.#delayMs = delayMs
  }

  take(data: Buffer): void {
    this.#queue.push({ data, due: performance.now() + this.#delayMs })
    if (this.#timer === undefined) this.#wait()
  }

  #wait(): void {
    const next = this.#queue[0]
    if (next === undefined) return
    const left = next.due - performance.now()
    // Timers may be a millisecond late, so the rest of the time is waited for by turns of the event loop.
    this.#timer = left > 2 ? setTimeout(() => this.#pass(), left - 1.5) : setImmediate(() => this.#pass())
  }

  #pass(): void {
    this.#timer = undefined
    const now = performance.now()
    const due = this.#queue.findIndex(entry => entry.due > now)
    const leaving = due < 0 ? this.#queue.splice(0) : this.#queue.splice(0, due)
    if (leaving.length > 0 && !this.#to.destroyed) this.#to.write(Buffer.concat(leaving.map(({ data }) => data)))
    this.#wait()
  }
}

async function open({ target, roundTripMs }: { target: number; roundTripMs: number }): Promise<number> {
  const server = createServer({ noDelay: true }, near => {
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true })
    const there = new Line(far, roundTripMs / 2)
    const back = new Line(near, roundTripMs / 2)
    near.on('data', data => there.take(data))
    far.on('data', data => back.take(data))
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on('error', () => {})
      socket.on('close', () => other.destroy())
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
  return address.port
}

answerCalls({ open })
