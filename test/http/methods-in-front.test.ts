// Middleware in front that has replaced methods of the response, and takes them off again, or looks only at some of what is sent.

import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { gunzipSync, gzipSync } from 'node:zlib'
import { dspinlock, memoryStore, type Store } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express, { type RequestHandler } from 'express'
import { Gate, serve, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

const stores: readonly [string, () => Store][] = [
  ['memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `methods-in-front-${process.pid}` })],
]

type Name = 'write' | 'end' | 'writeHead'

/** Replaces methods, and takes all of them off when one of them is called first. */
function takesOff(...names: readonly Name[]): RequestHandler {
  return (_req, res, next) => {
    const before = new Map(names.map(name => [name, res[name] as (...args: unknown[]) => unknown]))
    for (const [name, method] of before) {
      const once = (...args: unknown[]): unknown => {
        Object.assign(res, Object.fromEntries(before))
        return Reflect.apply(method, res, args)
      }
      Object.assign(res, { [name]: once })
    }
    next()
  }
}

const answers: Readonly<Record<string, (res: ServerResponse) => void>> = {
  'in pieces': res => {
    res.write('one ')
    res.write('two ')
    setImmediate(() => res.end('three'))
  },
  'of declared length': res => {
    res.setHeader('Content-Length', 13)
    res.write('one two ')
    setImmediate(() => {
      res.write('three')
      res.end()
    })
  },
  'of declared length, in one piece': res => {
    res.setHeader('Content-Length', 13)
    res.write('one two three')
    setImmediate(() => res.end())
  },
  'with writeHead': res => {
    res.writeHead(200, { 'X-Own': '1' })
    res.write('one two ')
    res.end('three')
  },
  'at once': res => void res.end('one two three'),
}

for (const [storeName, makeStore] of stores) {
  describe(`methods in front that are taken off, on ${storeName}`, () => {
    let store: Store
    before(() => {
      store = makeStore()
    })
    after(() => store.close())

    for (const names of [['write'], ['end'], ['writeHead'], ['write', 'end', 'writeHead']] as const) {
      it(`${names.join(', ')}: what is sent is whole, and so is its replay`, async () => {
        const lock = dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 })
        const app = express().use(takesOff(...names), lock)
        const ran: string[] = []
        app.post('/:names/:answer', (req, res) => {
          ran.push(req.params.answer)
          answers[req.params.answer]?.(res)
        })
        const server = await serve(app)
        for (const name of Object.keys(answers)) {
          const path = `/${names.join('-')}/${encodeURIComponent(name)}`
          for (let n = 0; n < 2; n++) {
            // A client that keeps its connection would take the next response for the missing bytes.
            const socket = await server.dial(
              `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
            )
            const body = (await text(socket)).replace(/^.*?\r\n\r\n/s, '').replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '')
            expect(body.trim(), name).to.equal('one two three')
          }
          expect(lock.engine.keys, name).to.equal(0)
        }
        expect(ran).to.deep.equal(Object.keys(answers))
        await server.stop()
      })
    }
  })
}

describe('methods in front', () => {
  it('that change what is written, and nothing else, see a replay written, too', async () => {
    const app = express()
    app.use((_req, res, next) => {
      const write = res.write.bind(res) as (chunk: string) => boolean
      Object.assign(res, { write: (chunk: Buffer | string) => write(String(chunk).replace(/\d/g, '*')) })
      next()
    })
    app.get('/', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
      res.write('card 4111')
      res.end()
    })
    const server = await serve(app)
    const asked = [await server.ask('/'), await server.ask('/')]
    expect(asked.map(({ body }) => body)).to.deep.equal(['card ****', 'card ****'])
    expect(asked[1]?.headers['cache-status']).to.equal('dspinlock; hit')
    await server.stop()
  })

  it('that keep listeners to themselves: a client that leaves is noticed all the same', async () => {
    const gate = new Gate()
    const lock = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
    const app = express()
    app.use((_req, res, next) => {
      Object.assign(res, { on: () => res })
      next()
    })
    app.get('/', lock, (_req, res) => void gate.opened.then(() => res.end('done')))
    const server = await serve(app)
    const first = server.ask('/', { headers: { host: 'h' } })
    await until(() => lock.engine.keys === 1, 'the first runs')
    const waiting = await server.dial('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => lock.engine.waiters === 1, 'a duplicate waits')
    waiting.destroy()
    await until(() => lock.engine.waiters === 0, 'it waits no more')
    gate.open()
    expect((await first).body).to.equal('done')
    await server.stop()
  })
})

describe('a server that refuses bytes where no body is allowed', () => {
  it('sends the head of a replay, and of a refusal, to HEAD', async () => {
    const app = express()
    const options = { duplicates: 'replay', ttlMs: 60_000, headFromGet: true } as const
    const lock = dspinlock(options)
    app.all('/', lock, (_req, res) => void res.send('contents'))
    const server = createServer({ rejectNonStandardBodyWrites: true }, app)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const ask = (method: string): Promise<string> => {
      const socket = connect(port, '127.0.0.1')
      socket.write(`${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
      return text(socket)
    }
    expect(await ask('GET')).to.match(/\r\n\r\ncontents$/)
    const head = await ask('HEAD')
    expect(head).to.match(/^HTTP\/1\.1 200 OK\r\n.*content-length: 8\r\n.*\r\n\r\n$/is)
    expect(head).to.match(/cache-status: dspinlock; hit/i)
    await lock.close()
    expect(await ask('HEAD')).to.match(/^HTTP\/1\.1 503 .*\r\ncontent-length: \d+\r\n.*\r\n\r\n$/is)
    await new Promise(resolve => server.close(resolve))
  })
})

describe('a response whose transfer is coded', () => {
  it('is not replayed without its coding', async () => {
    const app = express()
    let runs = 0
    app.get('/', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
      runs++
      res.setHeader('Transfer-Encoding', 'gzip, chunked')
      res.end(gzipSync('contents'))
    })
    const server = await serve(app)
    for (let n = 1; n < 3; n++) {
      const { bytes, headers } = await server.ask('/')
      expect(headers['transfer-encoding']).to.equal('gzip, chunked')
      expect(String(gunzipSync(bytes))).to.equal('contents')
      expect(runs).to.equal(n)
    }
    await server.stop()
  })
})
