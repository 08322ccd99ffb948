// A TCP proxy that breaks connections in the ways in which networks do.

import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'

type Mode = 'pass' | 'refuse' | 'black-hole'

interface Link {
  readonly client: Socket
  readonly server: Socket
  isMute: boolean
}

/** A request that must not be answered, and how to tell that it was not. */
interface Trap {
  readonly matches: (request: Buffer) => boolean
  /** The link on which the request went through. */
  link: Link | undefined
  readonly sprung: () => void
}

export class FaultProxy {
  readonly port: number
  /** The port to which connections go from now on. */
  target: number
  readonly #listener: Server
  readonly #links = new Set<Link>()
  #mode: Mode = 'pass'
  #delayMs = 0
  /** The data that is under way to each socket, in order. */
  readonly #delayed = new WeakMap<Socket, Buffer[]>()
  /** Whether the next reply is to be cut in its middle, together with the connection. */
  #cutNext = false
  #trap: Trap | undefined
  /** Called with every request that passes. */
  onRequest: ((request: Buffer) => void) | undefined
  /** What clients are sent instead of the reply. */
  rewriteReply: ((reply: Buffer) => Buffer) | undefined

  private constructor(listener: Server, port: number, target: number) {
    this.#listener = listener
    this.port = port
    this.target = target
    listener.on('connection', client => this.#link(client))
  }

  static async open(target: number): Promise<FaultProxy> {
    const listener = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const address = listener.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy has no port')
    return new FaultProxy(listener, address.port, target)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }

  /** Ends all connections. */
  cut(): void {
    for (const link of this.#links) drop(link)
  }

  /** Ends all connections, and from now on every new one as soon as it comes. */
  refuse(): void {
    this.#mode = 'refuse'
    this.cut()
  }

  /** Connections stay, but nothing comes through. What is sent meanwhile arrives after `heal`, unless the connections are cut first. */
  blackHole(): void {
    this.#mode = 'black-hole'
    for (const { client, server } of this.#links) {
      client.pause()
      server.pause()
    }
  }

  /** Existing connections stay, but nothing comes through them any more; new ones work. */
  mute(): void {
    for (const link of this.#links) link.isMute = true
  }

  /** All data takes this much longer, in both directions. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Only half of the next reply arrives. */
  cutMidReply(): void {
    this.#cutNext = true
  }

  /** The next request that `matches` is carried out, but its reply never arrives, and the connection ends. Resolves when that has happened. */
  swallowReplyTo(matches: (request: Buffer) => boolean): Promise<void> {
    return new Promise(resolve => {
      this.#trap = { matches, link: undefined, sprung: resolve }
    })
  }

  /** Ends all faults. */
  heal(): void {
    this.#mode = 'pass'
    this.#delayMs = 0
    this.#cutNext = false
    for (const { client, server } of this.#links) {
      client.resume()
      server.resume()
    }
  }

  async close(): Promise<void> {
    this.cut()
    this.#listener.close()
    await once(this.#listener, 'close')
  }

  #link(client: Socket): void {
    client.on('error', () => {})
    if (this.#mode === 'refuse') return void client.resetAndDestroy()
    const server = connect({ port: this.target, host: '127.0.0.1', noDelay: true })
    const link = { client, server, isMute: false }
    this.#links.add(link)
    server.on('error', () => {})
    for (const socket of [client, server]) {
      socket.on('close', () => {
        this.#links.delete(link)
        drop(link)
      })
    }
    client.on('data', data => this.#onRequest(link, data))
    server.on('data', data => this.#onReply(link, data))
    if (this.#mode === 'black-hole') {
      client.pause()
      server.pause()
    }
  }

  #onRequest(link: Link, data: Buffer): void {
    if (link.isMute) return
    this.onRequest?.(data)
    if (this.#trap !== undefined && this.#trap.link === undefined && this.#trap.matches(data)) this.#trap.link = link
    this.#forward(link.server, data)
  }

  #onReply(link: Link, data: Buffer): void {
    if (link.isMute) return
    if (this.#trap?.link === link) {
      const { sprung } = this.#trap
      this.#trap = undefined
      drop(link)
      return sprung()
    }
    if (this.#cutNext) {
      this.#cutNext = false
      this.#flush(link.client)
      link.client.end(data.subarray(0, Math.floor(data.length / 2)), () => drop(link))
      return
    }
    this.#forward(link.client, this.rewriteReply?.(data) ?? data)
  }

  /** Never sends before what came earlier, however late a timer is, because TCP keeps the order. */
  #forward(to: Socket, data: Buffer): void {
    const queue = this.#delayed.get(to) ?? []
    if (queue.length === 0 && this.#delayMs === 0) return void to.write(data)
    this.#delayed.set(to, queue)
    queue.push(data)
    setTimeout(() => {
      const next = queue.shift()
      if (next !== undefined && !to.destroyed) to.write(next)
    }, this.#delayMs)
  }

  /** Sends what is still under way now. */
  #flush(to: Socket): void {
    for (const data of this.#delayed.get(to)?.splice(0) ?? []) to.write(data)
  }
}

function drop({ client, server }: Link): void {
  client.destroy()
  server.destroy()
}
