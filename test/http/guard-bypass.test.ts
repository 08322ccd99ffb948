// Nothing that a client adds to its request gets it past the guard.

import { once } from 'node:events'
import {
  type ClientHttp2Stream,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { dspinlock as koaDspinlock } from '@dspinlock/koa'
import Router from '@koa/router'
import { expect } from 'chai'
import Koa from 'koa'
import { frameworks, json, serve, type TestServer } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`past the guard on ${name}`, () => {
    let server: TestServer
    let runs = 0

    before(async () => {
      const app = express()
      app.use((req, _res, next) => {
        if (req.get('x-encoding') !== undefined) req.setEncoding('utf8')
        next()
      })
      app.use('/coupon', dspinlock({ duplicates: 'reject', ttlMs: 60_000, identity: 'public', key: () => 'one' }))
      app.use('/pay', dspinlock({ idempotencyKey: 'required' }))
      app.use('/plain', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }))
      app.use((req, res, next) => {
        runs++
        text(req).then(body => res.json({ body }), next)
      })
      server = await serve(app)
    })
    beforeEach(() => {
      runs = 0
    })
    after(() => server.stop())

    it('an Upgrade header that nobody takes up changes nothing: some clients send one with every first request', async () => {
      const upgrade = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABkAAQAAP__' }
      const pay = json({ amount: 1 }, { ...upgrade, 'idempotency-key': 'h2c' })
      const answers = [await server.ask('/pay', pay), await server.ask('/pay', pay)]
      expect(answers.map(({ headers }) => headers['idempotent-replayed'])).to.deep.equal([undefined, 'true'])
      const statuses = [
        await server.ask('/pay', json({}, upgrade)),
        await server.ask('/pay', json({}, { upgrade: 'x' })),
      ]
      expect(statuses.map(({ status }) => status)).to.deep.equal([400, 400])
      expect(runs).to.equal(1)
    })

    it('a Range on anything but a read means nothing (RFC 9110, section 14.2)', async () => {
      const pay = json({ amount: 1 }, { range: 'bytes=0-', 'idempotency-key': 'range' })
      await server.ask('/pay', pay)
      expect((await server.ask('/pay', pay)).headers['idempotent-replayed']).to.equal('true')
      expect(runs).to.equal(1)
    })

    it('with a key of the application’s own, no variation of the request gets past the lock', async () => {
      await server.ask('/coupon/redeem', json({ code: 'X' }))
      const variations = [
        server.ask('/coupon/redeem', json({ code: 'X' })),
        server.ask('/coupon/Redeem', json({ code: 'X' })),
        server.ask('/coupon/redeem/', json({ code: 'X' })),
        server.ask('/coupon/%72edeem', json({ code: 'X' })),
        server.ask('/coupon/redeem?x=1', json({ code: 'X', padding: 'x'.repeat(1_500_000) })),
        server.ask('/coupon/redeem', json({ code: 'X' }, { upgrade: 'websocket', connection: 'upgrade' })),
        server.ask('/coupon/redeem', json({ code: 'X' }, { range: 'bytes=0-1' })),
        server.ask('/coupon/redeem', json({ code: 'X' }, { cookie: 'junk=1', authorization: 'Basic eDp5' })),
        server.ask('/coupon/redeem', json({ code: 'X' }, { 'x-http-method-override': 'GET' })),
        server.ask('/coupon/redeem', json({ code: 'X' }, { 'content-type': 'text/plain' })),
      ]
      const statuses = (await Promise.all(variations)).map(({ status }) => status)
      expect(statuses).to.deep.equal(statuses.map(() => 409))
      expect(runs).to.equal(1)
      // It is for a proxy to let none through that is not its own.
      expect((await server.ask('/coupon/redeem', json({ code: 'X' }, { host: 'another.example' }))).status).to.equal(
        200,
      )
    })

    it('a body that something in front has set an encoding for is the same request, and ends in no crash', async () => {
      const ask = (body: string) => server.ask('/plain', json(body, { 'x-encoding': 'utf8' }))
      const [first, again, other] = [await ask('ä'.repeat(40_000)), await ask('ä'.repeat(40_000)), await ask('b')]
      expect(JSON.parse(first.body)).to.deep.equal({ body: JSON.stringify('ä'.repeat(40_000)) })
      expect([again.body, other.body === first.body, runs]).to.deep.equal([first.body, false, 2])
    })
  })
}

describe('methods on HTTP/2', () => {
  it('count in small letters, too, because routers take them', async () => {
    const app = new Koa()
    const router = new Router()
    let runs = 0
    app.use(koaDspinlock({ duplicates: 'reject', ttlMs: 60_000, identity: 'public', key: () => 'one' }))
    router.post('/coupon', ctx => {
      ctx.body = { run: ++runs }
    })
    app.use(router.routes())
    const callback = app.callback()
    const server = createServer((req, res) => void callback(req, res)).listen(0)
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const statusOf = async (method: string): Promise<unknown> => {
      const stream = client.request({ ':method': method, ':path': '/coupon' }, { endStream: true }).resume()
      const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & IncomingHttpStatusHeader]
      return headers[':status']
    }
    expect([await statusOf('POST'), await statusOf('post'), await statusOf('Post')]).to.deep.equal([200, 409, 409])
    expect(runs).to.equal(1)
    client.close()
    server.close()
    await once(server, 'close')
  })
})

describe('bodies on HTTP/2', () => {
  it('are compared, also without a Content-Length', async () => {
    const app = new Koa()
    let runs = 0
    app.use(koaDspinlock({ duplicates: 'replay', ttlMs: 60_000 }))
    app.use(async ctx => {
      ctx.body = { run: ++runs, got: await text(ctx.req) }
    })
    const callback = app.callback()
    const server = createServer((req, res) => void callback(req, res)).listen(0)
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const post = async (body: string | undefined): Promise<unknown> => {
      const stream: ClientHttp2Stream = client.request(
        { ':method': 'POST', ':path': '/' },
        { endStream: body === undefined },
      )
      if (body !== undefined) stream.end(body)
      return JSON.parse(await text(stream))
    }
    expect(await post('one')).to.deep.equal({ run: 1, got: 'one' })
    expect(await post('two')).to.deep.equal({ run: 2, got: 'two' })
    expect(await post('one')).to.deep.equal({ run: 1, got: 'one' })
    expect(await post('')).to.deep.equal({ run: 3, got: '' })
    expect(await post(undefined)).to.include({ got: '' })
    client.close()
    server.close()
    await once(server, 'close')
  })
})
