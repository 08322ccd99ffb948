// Several requests on one connection: the answers come whole, and in order.

import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import expressSession from 'express-session'
import { frameworks, Gate, serve, until } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`pipelining on ${name}`, () => {
    it('an invitation to send the body stands before a replay, not inside it', async () => {
      const app = express()
      app.disable('x-powered-by')
      app.get('/slow', (_req, res) => void setImmediate(() => res.send('slow')))
      app.post(
        '/pay',
        dspinlock({ duplicates: 'replay', ttlMs: 60_000 }),
        (_req, res) => void res.send(Buffer.from('b\u00e4')),
      )
      const server = await serve(app)
      const pay = 'POST /pay HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n'
      await text(await server.dial(`${pay}Connection: close\r\n\r\n1`))
      const wire = await text(
        await server.dial(`GET /slow HTTP/1.1\r\nHost: h\r\n\r\n${pay}\r\n1${pay}Connection: close\r\n\r\n1`),
      )
      const parts = wire.split(/(?=HTTP\/1\.1 )/)
      expect(parts.map(part => part.split('\r\n')[0])).to.deep.equal([
        'HTTP/1.1 200 OK',
        'HTTP/1.1 100 Continue',
        'HTTP/1.1 200 OK',
        'HTTP/1.1 100 Continue',
        'HTTP/1.1 200 OK',
      ])
      for (const at of [2, 4]) expect(parts[at]).to.match(/cache-status: dspinlock; hit\r\n[^]*\r\n\r\nb\u00e4$/i)
      await server.stop()
    })

    it('a client that leaves while a stream for it waits behind another answer leaves nothing locked', async () => {
      const app = express()
      const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000, settleTimeoutMs: 1 })
      let runs = 0
      app.get('/never', () => {})
      app.get('/file', guard, (_req, res) => {
        runs++
        Readable.from([Buffer.alloc(100_000), Buffer.alloc(100_000)]).pipe(res)
      })
      const server = await serve(app)
      const socket = await server.dial('GET /never HTTP/1.1\r\nHost: h\r\n\r\nGET /file HTTP/1.1\r\nHost: h\r\n\r\n')
      await until(() => runs === 1, 'it runs')
      socket.destroy()
      await until(() => guard.engine.keys === 0, 'the key is free')
      expect((await server.ask('/file', { headers: { host: 'h' } })).status).to.equal(200)
      expect(runs).to.equal(2)
      await server.stop()
    })

    it('replays that wait behind others on their connection share the bytes of their record', async function () {
      this.timeout(30_000)
      const app = express()
      const body = Buffer.alloc(900_000, 'x')
      const gate = new Gate()
      const settings = { duplicates: 'replay', ttlMs: 60_000, identity: 'public' } as const
      app.get('/slow', (_req, res, next) => void gate.opened.then(() => res.send('slow'), next))
      app.get('/plain', dspinlock(settings), (_req, res) => void res.end(body))
      const session = expressSession({ secret: 'x', resave: false, saveUninitialized: false })
      app.get('/session', session, dspinlock(settings), (_req, res) => void res.end(body))
      const server = await serve(app)
      for (const [path, field] of [
        ['/plain', ''],
        ['/plain', 'Expect: 100-continue\r\n'],
        ['/session', ''],
      ] as const) {
        await server.ask(path, { headers: { host: 'h' } })
        const before = process.memoryUsage()
        const ask = `GET ${path} HTTP/1.1\r\nHost: h\r\n${field}\r\n`
        const client = await server.dial(`GET /slow HTTP/1.1\r\nHost: h\r\n\r\n${ask.repeat(200)}`)
        // Answered after all of them, because it came later.
        await server.ask(path, { headers: { host: 'h' } })
        const { heapUsed, external } = process.memoryUsage()
        client.destroy()
        expect(heapUsed + external - before.heapUsed - before.external, `${path} ${field}`).to.be.below(50_000_000)
      }
      gate.open()
      await server.stop()
    })
  })
}
