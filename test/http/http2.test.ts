// HTTP/2 by Node's compatibility layer, beside HTTP/1.1 on the same port: what the client and the handler see is the same.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  type ClientHttp2Session,
  connect,
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
} from 'node:http2'
import { request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { codeOf } from '../support/behaviour.js'
import { certificate } from '../support/certificate.js'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { Gate, until } from '../support/http.js'
import { type GuardedHandle, guardHandle } from '../support/plain.js'
import { redisUrl } from '../support/redis.js'
import { OWN_TO_EACH } from '../support/wire.js'

type Note = (line: string) => void
/** The response of the compatibility layer; Node's types of its two responses are incompatible. */
type Response = ServerResponse & Pick<Http2ServerResponse, 'stream'> & { setTrailer(name: string, value: string): void }
type Answer = (req: IncomingMessage, res: Response, note: Note) => unknown

interface Received {
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly trailers: unknown
  readonly informational: readonly unknown[]
  readonly log: readonly string[]
}

interface Case {
  readonly what: string
  readonly answer: Answer
  readonly method?: string
  readonly body?: string
  readonly duplicate?: 'runs' | 'refused'
}

const attempt = (note: Note, label: string, call: () => unknown): void => {
  try {
    const result = call()
    note(`${label} returned ${typeof result === 'boolean' ? result : typeof result}`)
  } catch (error) {
    note(`${label} threw ${codeOf(error)}`)
  }
}

const cases: readonly Case[] = [
  {
    what: '`writeHead(status, headers)` and `end(chunk)`',
    answer: (_req, res, note) => {
      attempt(note, 'head', () => res.writeHead(201, { 'X-One': '1', 'x-list': ['a', 'b'] }))
      attempt(note, 'end', () => res.end('body', () => note('late ended')))
      note(`${res.headersSent} ${res.writableEnded} ${res.statusCode}`)
    },
  },
  {
    what: '`writeHead` with a flat list',
    answer: (_req, res) => {
      res.setHeader('x-set', 'before')
      res.writeHead(200, ['x-one', '1', 'x-two', '2', 'x-one', '3'])
      res.end('body')
    },
  },
  {
    what: '`writeHead` with an object of names that differ in their case: the last of them counts',
    answer: (_req, res) => {
      res.writeHead(200, { 'X-One': '1', 'x-one': '2' })
      res.end('body')
    },
  },
  {
    what: '`setHeader`, `appendHeader`, `getHeaders`',
    answer: (_req, res, note) => {
      res.setHeader('X-One', ['1'])
      attempt(note, 'append', () => res.appendHeader('x-one', '2'))
      note(JSON.stringify([res.getHeaders(), res.getHeaderNames(), res.hasHeader('X-ONE')]))
      res.end()
    },
  },
  {
    what: '`write` in chunks of text and bytes, callbacks, `end(callback)`',
    answer: async (_req, res, note) => {
      res.write('h\u00e4', 'latin1', () => note('late written'))
      await turn()
      res.write(Buffer.from([1, 2, 255]))
      res.write('aGVsbG8=', 'base64')
      res.end(() => note('late ended'))
    },
  },
  { what: '`end()` alone', answer: (_req, res) => res.end() },
  {
    what: '`end` twice, `write` after the end',
    answer: (_req, res, note) => {
      res.end('a')
      attempt(note, 'end', () => res.end('b'))
      res.on('error', error => note(`late error ${codeOf(error)}`))
    },
  },
  {
    what: '204',
    answer: (_req, res) => {
      res.statusCode = 204
      res.end()
    },
  },
  {
    what: 'HEAD',
    method: 'HEAD',
    answer: (_req, res) => {
      res.setHeader('content-length', 4)
      res.end()
    },
    duplicate: 'runs',
  },
  { what: '`pipe`', answer: (_req, res) => void Readable.from(['one ', 'two ', 'x'.repeat(100_000)]).pipe(res) },
  {
    what: 'a request body, echoed',
    method: 'POST',
    body: 'echo '.repeat(5_000),
    answer: async (req, res) => void res.end(await buffer(req)),
  },
  {
    what: '`addTrailers`',
    answer: (_req, res) => {
      res.addTrailers({ 'x-sum': '1' })
      res.end('body')
    },
    duplicate: 'runs',
  },
  {
    what: '`setTrailer`, on a write',
    method: 'POST',
    body: 'x',
    answer: (_req, res) => {
      res.write('bo')
      res.setTrailer('x-sum', '1')
      res.end('dy')
    },
    duplicate: 'refused',
  },
  {
    what: '`writeEarlyHints`',
    answer: (_req, res) => {
      res.writeEarlyHints({ link: '</a.css>; rel=preload' })
      res.end('body')
    },
  },
  {
    what: 'identity, prototype, `stream` and `socket`',
    answer: (req, res, note) => {
      note(`${Object.getPrototypeOf(res)?.constructor.name} ${Object.getPrototypeOf(req)?.constructor.name}`)
      note(`${res.req === req} ${typeof res.stream.id} ${typeof res.socket}`)
      res.end('x')
    },
  },
  {
    what: 'a stream that is reset after its head',
    answer: (_req, res) => {
      res.write('begun')
      setTimeout(() => res.stream.close(2), 5)
    },
    duplicate: 'runs',
  },
]

describe('HTTP/2', () => {
  const topic = openTopic('HTTP/2', 'http2.test.ts')
  const servers: Http2SecureServer[] = []
  const clients: ClientHttp2Session[] = []
  const stores: Store[] = [memoryStore()]
  const guards: GuardedHandle['guard'][] = []
  let current: Answer = () => {}
  let log: string[] = []
  let runs = 0
  let closed: Promise<unknown> = Promise.resolve()

  before(async () => {
    stores.push(redisStore(redisUrl(), { prefix: `http2-${randomUUID()}` }))
    const handle = (req: IncomingMessage, res: ServerResponse): void => {
      runs++
      const note = (line: string): void => void log.push(line)
      for (const event of ['finish', 'close']) res.on(event, () => note(`late event ${event}`))
      closed = new Promise(resolve => res.once('close', resolve))
      current(req, res as Response, note)
    }
    for (const store of [undefined, ...stores]) {
      let guarded = handle
      if (store !== undefined) {
        const options = { store, duplicates: 'replay', ttlMs: 60_000, settleTimeoutMs: 200, headFromGet: true } as const
        const { guard, handle: guardedHandle } = guardHandle(options, handle)
        guards.push(guard)
        guarded = guardedHandle
      }
      const server = createSecureServer({ ...certificate, allowHTTP1: true }, (req, res) =>
        guarded(req as unknown as IncomingMessage, res as unknown as ServerResponse),
      )
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      servers.push(server)
      clients.push(connect(`https://127.0.0.1:${portOf(server)}`, { ca: certificate.cert }))
    }
  })
  after(async () => {
    for (const client of clients) client.destroy()
    for (const server of servers) {
      server.close()
      await once(server, 'close')
    }
    for (const store of stores) await store.close()
  })

  const ask = async (client: ClientHttp2Session, path: string, { method = 'GET', body }: Case): Promise<Received> => {
    log = []
    closed = Promise.resolve()
    const asked = client.request({ ':path': path, ':method': method, ':authority': 'h' })
    let headers: IncomingHttpHeaders = {}
    let trailers: unknown
    const informational: unknown[] = []
    asked.on('headers', (given: IncomingHttpHeaders) => informational.push({ ...given }))
    asked.on('response', (given: IncomingHttpHeaders) => {
      headers = { ...given }
    })
    asked.on('trailers', (given: IncomingHttpHeaders) => {
      trailers = { ...given }
    })
    const chunks: Buffer[] = []
    asked.on('data', (chunk: Buffer) => chunks.push(chunk))
    asked.on('error', error => informational.push(codeOf(error)))
    asked.end(body)
    await new Promise(resolve => asked.once('close', resolve))
    await closed
    const { date: _date, ...rest } = headers
    const isLate = (line: string): boolean => line.startsWith('late ')
    return {
      headers: rest,
      body: Buffer.concat(chunks).toString('latin1'),
      trailers,
      informational,
      log: [...log.filter(line => !isLate(line)), ...log.filter(isLate).toSorted()],
    }
  }

  it('HEAD is answered from the record of the same GET', async () => {
    current = (_req, res) => void res.end('four')
    for (const client of clients.slice(1)) {
      const path = `/${randomUUID()}`
      await ask(client, path, { what: 'GET', answer: current })
      runs = 0
      const { headers, body } = await ask(client, path, { what: 'HEAD', method: 'HEAD', answer: current })
      expect([runs, headers[':status'], headers['content-length'], body]).to.deep.equal([0, 200, '4', ''])
    }
  })

  for (const one of cases) {
    it(one.what, async () => {
      current = one.answer
      const [bareClient, ...guardedClients] = clients as [ClientHttp2Session, ...ClientHttp2Session[]]
      const bare = await ask(bareClient, `/${randomUUID()}`, one)
      for (const client of guardedClients) {
        const path = `/${randomUUID()}`
        const first = await ask(client, path, one)
        expect(first).to.deep.equal(bare)
        runs = 0
        // A response that was reset counts as cut short only a moment later.
        await until(() => guards.every(({ engine }) => engine.keys === 0), 'nothing is held')
        const second = await ask(client, path, one)
        if (one.duplicate === 'runs') expect([runs, second]).to.deep.equal([1, bare])
        else if (one.duplicate === 'refused') expect([runs, second.headers[':status']]).to.deep.equal([0, 409])
        else {
          expect([runs, second.body]).to.deep.equal([0, first.body])
          expect(second.headers['cache-status']).to.equal('dspinlock; hit')
          const lasting = ({ headers }: Received): unknown =>
            Object.entries(headers).filter(([name]) => !OWN_TO_EACH.includes(name))
          expect(lasting(second)).to.deep.equal(lasting(first))
        }
      }
      const duplicates = { runs: 'runs for itself', refused: 'is told that it is done (409)' }
      topic.row(
        `${one.what}`,
        SAME,
        one.duplicate === undefined
          ? `the same${one.what.includes('Hints') ? ', less the hints' : ''}`
          : duplicates[one.duplicate],
      )
    })
  }

  /** Resolves when the handler runs. */
  const askAndLeave = async (client: ClientHttp2Session, path: string): Promise<void> => {
    const asked = client.request({ ':path': path, ':method': 'POST', ':authority': 'h' })
    asked.on('error', () => {})
    asked.end()
    await until(() => runs === 1, 'it runs')
    asked.close(constants.NGHTTP2_CANCEL)
    await closed
  }

  it('a client that leaves before the first byte: the work goes on, and a duplicate gets its answer', async () => {
    const heads: Answer[] = [
      (_req, res) => {
        res.setHeader('X-Whole', 'yes')
        res.writeHead(201)
      },
      (_req, res) => void res.writeHead(201, { 'X-Whole': 'yes' }),
      (_req, res) => {
        res.statusCode = 201
        res.setHeader('X-Whole', 'yes')
      },
    ]
    for (const [n, client] of clients.entries()) {
      const engine = guards[n - 1]?.engine
      if (engine === undefined) continue
      for (const writeHead of heads) {
        runs = 0
        const gate = new Gate()
        current = async (req, res, note) => {
          await gate.opened
          writeHead(req, res, note)
          res.write('whole ')
          res.end('answer')
        }
        const path = `/${randomUUID()}`
        await askAndLeave(client, path)
        const duplicate = ask(client, path, { what: '', method: 'POST', answer: current })
        await until(() => engine.waiters === 1, 'another one waits')
        gate.open()
        const { headers, body } = await duplicate
        expect([headers[':status'], headers['x-whole'], body, runs]).to.deep.equal([201, 'yes', 'whole answer', 1])
      }
    }
    topic.row('a client that leaves before the first byte', 'the work goes on', 'waits for it and gets its answer')
  })

  it('a client that leaves before the head, and a handler that waits for it after that: it counts as done', async () => {
    for (const client of clients.slice(1)) {
      const gate = new Gate()
      runs = 0
      current = async (_req, res) => {
        await gate.opened
        res.writeHead(200)
        if (!res.write('never taken')) await once(res, 'drain')
        res.end()
      }
      const path = `/${randomUUID()}`
      await askAndLeave(client, path)
      gate.open()
      const { headers } = await ask(client, path, { what: '', method: 'POST', answer: current })
      expect([headers[':status'], runs]).to.deep.equal([409, 1])
    }
  })

  it('a client that leaves before the first byte: what fails after a head that nobody wrote runs again', async () => {
    const [, client] = clients
    if (client === undefined) throw new Error('no guarded client')
    const gate = new Gate()
    runs = 0
    current = async (_req, res) => {
      await gate.opened
      res.writeHead(200, { 'X-Given': 'yes' })
      // As an error handler does if no head was sent.
      if (!res.headersSent) res.statusCode = 500
      res.end(`run ${runs}`)
    }
    const path = `/${randomUUID()}`
    await askAndLeave(client, path)
    gate.open()
    const { headers, body } = await ask(client, path, { what: '', method: 'POST', answer: current })
    expect([headers[':status'], body]).to.deep.equal([200, 'run 2'])
  })

  it('a client that leaves while it is asked who it is: nothing runs for it', async () => {
    const gate = new Gate()
    let asked = 0
    const identity = async () => {
      asked++
      await gate.opened
      return 'ann'
    }
    let begun = 0
    const { handle } = guardHandle({ identity }, (_req, res) => {
      begun++
      res.end('body')
    })
    let left: Promise<unknown> = Promise.resolve()
    const server = createServer((req, res) => {
      left = once(res, 'close')
      handle(req as unknown as IncomingMessage, res as unknown as ServerResponse)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const post = () => client.request({ ':path': '/', ':method': 'POST' })
    const leaving = post()
    leaving.on('error', () => {})
    leaving.end('x')
    await until(() => asked === 1, 'it is asked')
    leaving.close(constants.NGHTTP2_CANCEL)
    await left
    gate.open()
    const staying = post()
    staying.end('x')
    expect([await text(staying), begun]).to.deep.equal(['body', 1])
    client.destroy()
    server.close()
    await once(server, 'close')
  })

  it('a body over maxBodyBytes that no handler reads, or that is refused, keeps no stream open', async () => {
    for (const oversize of ['pass', 'reject'] as const) {
      const { guard, handle } = guardHandle({ maxBodyBytes: 10, oversize, store: memoryStore() }, (_req, res) => {
        res.end('ignored')
      })
      const server = createServer(handle as never).listen(0)
      await once(server, 'listening')
      const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      // More than the window of a stream, so that the client cannot send it all unless somebody takes it.
      const asked = client.request({ ':path': '/', ':method': 'POST' })
      asked.end(Buffer.alloc(1_000_000)).resume()
      await once(asked, 'close')
      client.close()
      server.close()
      await once(server, 'close')
      await guard.close()
    }
  })

  it('a `checkContinue` listener: the client is invited once, by the listener or by the guard', async () => {
    const hints = { link: '</a.css>; rel=preload' }
    const invitations: ((res: Http2ServerResponse) => void)[] = [
      res => res.writeContinue(),
      res => {
        res.writeEarlyHints(hints)
        res.writeContinue()
      },
      res => res.writeEarlyHints(hints),
      () => {},
    ]
    for (const invite of invitations) {
      const { handle } = guardHandle({}, (req, res) => req.pipe(res))
      const server = createServer(() => {})
      server.on('checkContinue', (req, res) => {
        invite(res)
        handle(req as unknown as IncomingMessage, res as unknown as ServerResponse)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      const asked = client.request({ ':path': '/', ':method': 'POST', expect: '100-continue' })
      let invited = 0
      asked.on('continue', () => {
        invited++
        // A second call would make the request fail.
        asked.end('body')
      })
      expect([await text(asked), invited]).to.deep.equal(['body', 1])
      client.destroy()
      server.close()
      await once(server, 'close')
    }
  })

  it('a refusal by a middleware that closes has no Connection field, of which Node would warn', async () => {
    const { guard, handle } = guardHandle({}, () => {})
    await guard.close()
    const server = createServer((req, res) =>
      handle(req as unknown as IncomingMessage, res as unknown as ServerResponse),
    ).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const warnings: string[] = []
    const onWarning = ({ message }: Error): void => void warnings.push(message)
    process.on('warning', onWarning)
    const { headers, body } = await ask(client, '/', { what: '', method: 'POST', answer: () => {} })
    await turn()
    process.removeListener('warning', onWarning)
    expect([headers[':status'], 'connection' in headers, warnings]).to.deep.equal([503, false, []])
    expect(JSON.parse(body)).to.include({ code: 'closing' })
    client.destroy()
    server.close()
    await once(server, 'close')
  })

  it('a record of HTTP/1.1 is replayed on HTTP/2, and the other way round, on one port', async () => {
    current = (_req, res) => {
      if (res.req.httpVersionMajor < 2) {
        res.statusMessage = 'Of Its Own'
        res.setHeader('Connection', 'close')
        res.setHeader('Transfer-Encoding', 'chunked')
      }
      res.setHeader('X-One', '1')
      res.end('body')
    }
    const askHttp1 = async (server: Http2SecureServer, path: string) => {
      const asked = request({
        host: '127.0.0.1',
        port: portOf(server),
        path,
        headers: { host: 'h' },
        ca: certificate.cert,
        servername: 'localhost',
        agent: false,
      })
      asked.end()
      const [answer] = (await once(asked, 'response')) as [IncomingMessage]
      return { status: answer.statusCode, cache: answer.headers['cache-status'], body: await text(answer) }
    }
    const plain: Case = { what: '', answer: current }
    for (const [n, server] of servers.entries()) {
      const client = clients[n]
      if (n === 0 || client === undefined) continue
      runs = 0
      const path = `/${randomUUID()}`
      expect(await askHttp1(server, path)).to.deep.equal({ status: 200, cache: undefined, body: 'body' })
      const second = await ask(client, path, plain)
      expect([second.headers[':status'], second.headers['x-one'], second.body, runs]).to.deep.equal([
        200,
        '1',
        'body',
        1,
      ])
      expect(second.headers['cache-status']).to.equal('dspinlock; hit')
      const other = `/${randomUUID()}`
      await ask(client, other, plain)
      // On HTTP/2, an answer does not wait until its record is stored.
      await until(() => guards[n - 1]?.engine.keys === 0, 'the hold ends')
      expect(await askHttp1(server, other)).to.deep.equal({ status: 200, cache: 'dspinlock; hit', body: 'body' })
      expect(runs).to.equal(2)
    }
    topic.row('a duplicate by the other version of HTTP', SAME, 'the same, less what only one of them has')
  })
})

function portOf(server: Http2SecureServer): number {
  return (server.address() as AddressInfo).port
}
