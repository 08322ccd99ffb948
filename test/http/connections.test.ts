// Connections that are kept alive, pipelined, upgraded or tunnelled work as they do without dspinlock.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { until } from '../support/http.js'
import { guardHandle } from '../support/plain.js'
import { redisUrl } from '../support/redis.js'
import { withoutDate } from '../support/wire.js'

describe('connections', () => {
  const topic = openTopic('Connections', 'connections.test.ts')
  const servers: Server[] = []
  const stores: Store[] = [memoryStore()]
  /** One server without dspinlock, and one for each store. */
  const ports: number[] = []
  let log: string[] = []

  const handle = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const url = req.url ?? ''
    log.push(`began ${url}`)
    res.once('finish', () => log.push(`finished ${url}`))
    const body = await text(req)
    if (url.includes('slow')) await delay(15)
    if (url.includes('chunks')) {
      res.write('a')
      await delay(2)
      return void res.end('b')
    }
    if (url.includes('declared')) {
      res.setHeader('Content-Length', 2)
      res.write('ab')
      await delay(2)
      return void res.end()
    }
    if (url.includes('closing')) res.setHeader('Connection', 'close')
    res.end(`${url} ${body}`)
  }

  before(async () => {
    stores.push(redisStore(redisUrl(), { prefix: `connections-${randomUUID()}` }))
    for (const store of [undefined, ...stores]) {
      const answer = (req: IncomingMessage, res: ServerResponse): void => void handle(req, res)
      const listener = store === undefined ? answer : guardHandle({ store, duplicates: 'replay' }, answer).handle
      const server = createServer({ keepAliveTimeout: 1_000 }, listener)
      server.on('upgrade', (req: IncomingMessage, socket: Socket, head: Buffer) => {
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n${head.toString()}`,
        )
        socket.pipe(socket)
        log.push(`upgraded ${req.url ?? ''}`)
      })
      server.on('connect', (req: IncomingMessage, socket: Socket) => {
        socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        socket.pipe(socket)
        log.push(`connected ${req.url ?? ''}`)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      servers.push(server)
      ports.push((server.address() as AddressInfo).port)
    }
  })
  after(async () => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
    for (const store of stores) await store.close()
  })

  /** What comes back for `parts`; each is sent when all before it were answered, as `isAnswered` says. */
  const converse = async (
    port: number,
    parts: readonly string[],
    isAnswered: (received: string, part: number) => boolean,
  ): Promise<{ readonly wire: string; readonly log: readonly string[] }> => {
    log = []
    const socket = connect(port, '127.0.0.1')
    let received = ''
    let isClosed = false
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
    })
    socket.on('close', () => {
      isClosed = true
    })
    for (const [n, part] of parts.entries()) {
      socket.write(part)
      await until(() => isClosed || isAnswered(received, n), `part ${n} is answered; so far ${received}`)
    }
    // Waits for whatever else may come.
    await delay(10)
    socket.destroy()
    return { wire: withoutDate(received), log }
  }

  const same = async (parts: readonly string[], isAnswered: (received: string, part: number) => boolean) => {
    const all: Awaited<ReturnType<typeof converse>>[] = []
    // Requests in one pipeline begin in another order if some of them have a body, which is read first.
    for (const port of ports) {
      const { wire, log: seen } = await converse(port, parts, isAnswered)
      all.push({ wire, log: seen.toSorted() })
    }
    const [bare, ...ours] = all
    for (const one of ours) expect(one).to.deep.equal(bare)
  }

  const get = (path: string, ...headers: readonly string[]): string =>
    [`GET ${path} HTTP/1.1`, 'Host: h', ...headers, '', ''].join('\r\n')
  const post = (path: string, body: string): string =>
    [`POST ${path} HTTP/1.1`, 'Host: h', `Content-Length: ${body.length}`, '', body].join('\r\n')
  const countOf = (text: string, part: string): number => text.split(part).length - 1

  it('requests one after another on a connection that is kept alive', async () => {
    const paths = ['/one', '/two-chunks', '/three-declared', '/four-slow']
    await same(
      paths.map(path => get(path)),
      (received, n) => countOf(received, 'HTTP/1.1 200') === n + 1 && /(\r\n\r\nab|0\r\n\r\n| )$/.test(received),
    )
    topic.row('requests one after another on a connection that is kept alive', SAME, 'the same')
  })

  it('requests with bodies on a connection that is kept alive', async () => {
    await same([post('/one', 'first'), post('/two', 'second')], (received, n) =>
      received.endsWith(n === 0 ? 'first' : 'second'),
    )
    topic.row('requests with bodies on a connection that is kept alive', SAME, 'the same')
  })

  it('`Connection: close` by the handler', async () => {
    await same([get('/closing'), get('/never')], () => false)
    topic.row('`Connection: close` by the handler', SAME, 'as its own connection is')
  })

  it('pipelined requests: the answers come in order, each whole', async () => {
    await same(
      [get('/a-slow') + get('/b-chunks') + get('/c') + get('/d-declared') + get('/e', 'Connection: close')],
      () => false,
    )
    topic.row('pipelined requests', SAME, 'the same')
  })

  it('pipelined requests with bodies', async () => {
    await same([post('/a-slow', 'one') + post('/b', 'two') + get('/c', 'Connection: close')], () => false)
    topic.row('pipelined requests with bodies', SAME, 'the same')
  })

  it('pipelined duplicates: the second waits for the first and gets its answer', async () => {
    for (const port of ports.slice(1)) {
      const path = `/twice-slow-${randomUUID()}`
      const { wire, log: seen } = await converse(port, [get(path) + get(path, 'Connection: close')], () => false)
      expect(seen).to.deep.equal([`began ${path}`, `finished ${path}`])
      expect(countOf(wire, `${path} `)).to.equal(2)
      expect(wire).to.match(/Cache-Status: dspinlock; (hit|collapsed)/)
    }
    topic.row('the same request twice in a pipeline', SAME, 'the same, after the first')
  })

  it('an upgrade, with a listener for it', async () => {
    await same(
      [get('/socket', 'Connection: Upgrade', 'Upgrade: echo'), 'hello', 'again'],
      (received, n) => received.includes('\r\n\r\n') && (n === 0 || received.endsWith(n === 1 ? 'hello' : 'again')),
    )
    topic.row('an upgrade, with a listener for it', SAME, 'is upgraded, too')
  })

  it('CONNECT', async () => {
    await same(
      ['CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n', 'hello'],
      (received, n) => received.includes('\r\n\r\n') && (n === 0 || received.endsWith('hello')),
    )
    topic.row('CONNECT', SAME, 'is connected, too')
  })

  it('an upgrade without a listener is a request like any other, and not guarded', async () => {
    for (const server of servers) server.removeAllListeners('upgrade')
    const path = '/plain'
    await same(
      [get(path, 'Connection: Upgrade', 'Upgrade: h2c'), get(path, 'Connection: close, Upgrade', 'Upgrade: h2c')],
      (received, n) => countOf(received, `${path} `) === n + 1,
    )
    expect(log.filter(line => line.startsWith('began'))).to.have.length(2)
    topic.row('a request to upgrade that nobody listens for', SAME, 'runs for itself')
  })
})
