// Koa on HTTP/2, where there is no reason phrase and a response has no socket of its own.

import { once } from 'node:events'
import { connect, createServer, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import { koas } from '../support/koa.js'

for (const { name, Koa } of koas) {
  describe(`HTTP/2 on ${name}`, () => {
    it('replays, without a warning', async () => {
      const warnings: string[] = []
      const onWarning = (warning: Error): void => void warnings.push(warning.name)
      process.on('warning', onWarning)
      let runs = 0
      const app = new Koa()
      app.use(dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000 }))
      app.use(ctx => {
        runs++
        ctx.body = ctx.path === '/stream' ? Readable.from(['a', 'b']) : { a: 1 }
      })
      const callback = app.callback()
      const server = createServer((req, res) => void callback(req, res)).listen(0)
      await once(server, 'listening')
      const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      for (const [path, body] of [
        ['/json', '{"a":1}'],
        ['/stream', 'ab'],
      ]) {
        for (const status of [undefined, 'dspinlock; hit']) {
          const asked = client.request({ ':path': path })
          const [headers] = (await once(asked, 'response')) as [IncomingHttpHeaders]
          expect([headers[':status'], headers['cache-status'], await text(asked)]).to.deep.equal([200, status, body])
        }
      }
      client.close()
      server.close()
      await once(server, 'close')
      process.removeListener('warning', onWarning)
      expect(runs).to.equal(2)
      expect(warnings).to.deep.equal([])
    })

    it('what has trailers is not replayed without them', async () => {
      let runs = 0
      const app = new Koa()
      app.use(dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000 }))
      app.use(ctx => {
        runs++
        // HTTP/2 has trailers also where the length is known.
        if (ctx.path === '/whole') ctx.res.addTrailers({ 'x-sum': '2' })
        const stream = Readable.from(['a', 'b']).once('end', () => ctx.res.addTrailers({ 'x-sum': '2' }))
        ctx.body = ctx.path === '/stream' ? stream : 'ab'
      })
      const callback = app.callback()
      const server = createServer((req, res) => void callback(req, res)).listen(0)
      await once(server, 'listening')
      const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      for (const path of ['/stream', '/whole']) {
        for (let n = 0; n < 2; n++) {
          const asked = client.request({ ':path': path })
          let sum: unknown
          asked.on('trailers', (trailers: IncomingHttpHeaders) => {
            sum = trailers['x-sum']
          })
          const [body] = await Promise.all([text(asked), once(asked, 'close')])
          expect([body, sum]).to.deep.equal(['ab', '2'])
        }
      }
      client.close()
      server.close()
      await once(server, 'close')
      expect(runs).to.equal(4)
    })
  })
}
