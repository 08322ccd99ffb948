// Several requests on one connection: the answers come whole, and in order.

import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import { frameworks, serve } from '../support/http.js'

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
  })
}
