// A client that sends its next request with the last byte of the answer meets the record, and never its own lock.

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { dspinlock, memoryStore, type Store } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { Gate, serve, type TestServer, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { slowStore } from '../support/slow-store.js'
import { noteTroubles } from '../support/troubles.js'

const stores: readonly [string, () => Store][] = [
  ['memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `settling-${process.pid}` })],
]

/** Resolves in the turn in which the last byte of the answer arrived. */
async function askOn(socket: Socket, path: string): Promise<string> {
  let received = ''
  socket.write(`POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`)
  while (!/^HTTP\/1.1 (?!200)/.test(received) && !received.endsWith(received.includes('chunked') ? '0\r\n\r\n' : '.')) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    received += chunk.toString()
  }
  return received
}

for (const [name, makeStore] of stores) {
  describe(`settling before the last byte, on ${name}`, () => {
    let server: TestServer
    let store: Store
    let runs = 0

    before(async () => {
      store = makeStore()
      // If other headers are set, what writeHead is given is set, too.
      const app = express().disable('x-powered-by')
      for (const duplicates of ['serialise', 'replay', 'reject'] as const) {
        const guard = dspinlock({ store, duplicates, ...(duplicates === 'replay' ? { ttlMs: 60_000 } : {}) })
        app.post(`/${duplicates}/:n`, guard, (req, res) => {
          runs++
          const way = Number(req.params['n']) % 5
          if (way === 0) return void res.send(`run ${runs}.`)
          if (way === 1) {
            // The client has the whole body before the end.
            res.setHeader('Content-Length', 6)
            res.write(`run ${runs}`)
            res.write(runs % 2 === 0 ? '.' : Buffer.from('.'))
            return void setTimeout(() => res.end(), 3)
          }
          if (way > 2) {
            if (way === 3) res.setHeader('Content-Length', 6)
            else res.writeHead(200, { 'Content-Length': 6 })
            res.write(`run ${runs}.`)
            return void setTimeout(() => res.end(), 3)
          }
          res.write(`run ${runs}`)
          setImmediate(() => res.end('.'))
        })
      }
      server = await serve(app)
    })
    after(async () => {
      await server.stop()
      await store.close()
    })

    for (const duplicates of ['serialise', 'replay', 'reject']) {
      it(`${duplicates}: 60 times on two connections in turn`, async () => {
        const sockets = [await server.dial(''), await server.dial('')] as const
        for (let n = 0; n < 60; n++) {
          runs = 0
          const first = await askOn(sockets[0], `/${duplicates}/${n}`)
          const second = await askOn(sockets[1], `/${duplicates}/${n}`)
          expect(first).to.match(/^HTTP\/1.1 200 /)
          expect(second).to.match(/^HTTP\/1.1 200 /)
          expect(runs).to.equal(duplicates === 'replay' ? 1 : 2)
        }
        for (const socket of sockets) socket.destroy()
      })
    }
  })
}

describe('how a response ends', () => {
  it('is not by its declared length where it is sent in chunks', async () => {
    const guard = dspinlock()
    const held: number[] = []
    const app = express()
    app.post('/', guard, (_req, res) => {
      res.setHeader('Transfer-Encoding', 'chunked')
      res.setHeader('Content-Length', 4)
      for (const part of ['four', ' and more']) {
        res.write(part)
        held.push(guard.engine.keys)
      }
      res.end()
      held.push(guard.engine.keys)
    })
    const server = await serve(app)
    const socket = await server.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    expect(await text(socket)).to.match(/9\r\n and more\r\n0\r\n\r\n$/)
    expect(held).to.deep.equal([1, 1, 0])
    await server.stop()
  })

  for (const [sent, set, second] of [
    [201, 503, 409],
    [503, 201, 503],
  ] as const) {
    it(`is by the status ${sent} that was sent, not by ${set}, which is set after that`, async () => {
      const app = express()
      app.post('/', dspinlock({ duplicates: 'reject', ttlMs: 60_000 }), (_req, res) => {
        res.writeHead(sent)
        res.statusCode = set
        res.end()
      })
      const server = await serve(app)
      const post = { method: 'POST', headers: { host: 'h' } }
      expect((await server.ask('/', post)).status).to.equal(sent)
      expect((await server.ask('/', post)).status).to.equal(second)
      await server.stop()
    })
  }
})

describe("settle: 'after-end'", () => {
  it('the last bytes do not wait for the store, and the record follows', async () => {
    const slow = slowStore()
    const options = { store: slow.store, duplicates: 'replay', ttlMs: 60_000, settleTimeoutMs: 60_000 } as const
    const app = express()
    app.post('/', dspinlock({ ...options, settle: 'after-end' }), (_req, res) => void res.send('done'))
    const server = await serve(app)
    const post = { method: 'POST', headers: { host: 'h' } }
    expect((await server.ask('/', post)).headers['cache-status']).to.equal(undefined)
    const duplicate = server.ask('/', post)
    slow.open()
    expect((await duplicate).headers['cache-status']).to.match(/^dspinlock; (?:hit|collapsed)$/)
    await server.stop()
  })
})

describe('a store that is slower than settleTimeoutMs', () => {
  for (const [what, settle, isOpen, expected] of [
    ['is told as trouble where the last bytes waited for it', 'before-end', false, ['settle']],
    ['is none where they did not wait', 'after-end', false, []],
    ['is none if it answered in time', 'before-end', true, []],
  ] as const) {
    it(what, async () => {
      const { noted, stop } = noteTroubles('http')
      const slow = slowStore()
      if (isOpen) slow.open()
      const app = express()
      const options = { store: slow.store, duplicates: 'replay', settle, settleTimeoutMs: 1 } as const
      app.post('/', dspinlock(options), (_req, res) => void res.send('done'))
      const server = await serve(app)
      expect((await server.ask('/', { method: 'POST' })).body).to.equal('done')
      // A timer of a millisecond that was set before this one has fired by then.
      await new Promise(resolve => setTimeout(resolve, 3))
      stop()
      expect(noted.map(({ operation }) => operation)).to.deep.equal(expected)
      slow.open()
      await server.stop()
    })
  }
})

describe('while the last bytes wait for the store', () => {
  it('the connection looks as it would without us: what waits in it is what its client does not take', async () => {
    const slow = slowStore()
    const ahead = new Gate()
    const sockets: Socket[] = []
    const app = express()
    app.get('/ahead', (_req, res, next) => void ahead.opened.then(() => res.send('ahead'), next))
    app.get('/:size', dspinlock({ store: slow.store, settleTimeoutMs: 60_000 }), (req, res) => {
      res.write(Buffer.alloc(Number(req.params['size'])))
      setImmediate(() => {
        res.end('.')
        sockets.push(req.socket)
      })
    })
    const server = await serve(app)
    const ask = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`
    const unread = await server.dial(ask('/16000000'))
    await until(() => slow.ends() === 1, 'its end waits')
    expect(sockets[0]?.writableLength).to.be.above(0)
    unread.destroy()
    // One that has ended before the connection is its own.
    const behind = await server.dial(ask('/ahead') + ask('/1'))
    await until(() => slow.ends() === 2, 'its end waits')
    ahead.open()
    await once(behind, 'data')
    expect([sockets[1]?.writableLength, sockets[1]?.writableCorked]).to.deep.equal([0, 0])
    slow.open()
    expect(String(await once(behind, 'data'))).to.contain('.')
    await server.stop()
  })
})
