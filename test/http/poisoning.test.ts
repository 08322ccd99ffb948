// Whatever a response was made from is in its key or named by its Vary, so one request never decides what another is told.

import { once } from 'node:events'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { dspinlock as koaDspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import Koa from 'koa'
import { type Ask, frameworks, json, serve, type TestServer } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`poisoning on ${name}`, () => {
    let server: TestServer
    let runs = 0
    const replay = { duplicates: 'replay', ttlMs: 60_000, identity: 'public' } as const

    before(async () => {
      const app = express()
      app.set('trust proxy', true)
      const rewrite: RequestHandler = (req, _res, next) => {
        const prefix = req.get('x-tenant')
        if (prefix !== undefined) req.url = `/${prefix}${req.url}`
        next()
      }
      app.use('/api', rewrite)
      app.all('/links', dspinlock(replay), (req, res) => {
        runs++
        res.send(`${req.protocol}://${req.hostname}${req.get('x-forwarded-prefix') ?? ''}/next`)
      })
      app.all('/negotiated', dspinlock(replay), (req, res) => {
        runs++
        res.vary('Accept').vary('Accept-Encoding').vary('Accept-Language').vary('X-Forwarded-For')
        res.send(
          ['accept', 'accept-encoding', 'accept-language', 'x-forwarded-for'].map(field => req.get(field)).join('|'),
        )
      })
      app.get('/coded', dspinlock(replay), (req, res) => {
        runs++
        const coding = req.get('accept-encoding')
        if (coding !== undefined) res.set('Content-Encoding', coding)
        res.end(coding ?? 'plain')
      })
      app.all('/overridden', dspinlock({ ...replay, identity: () => 'ann' }), (req, res) => {
        runs++
        res.send(req.get('x-http-method-override') ?? req.method)
      })
      app.get('/silly', dspinlock(replay), (req, res) => {
        runs++
        res
          .vary('__proto__')
          .vary('constructor')
          .vary('toString')
          .send(`run ${runs} ${req.get('x') ?? ''}`)
      })
      app.get('/forwarded', dspinlock(replay), (req, res) => {
        res.send(/host ?= ?([^;]*)/.exec(req.get('forwarded') ?? '')?.[1])
      })
      const tenant = express.Router()
      tenant.get('/orders', dspinlock(replay), (req, res) => {
        runs++
        res.send(`${req.baseUrl}${req.path}`)
      })
      app.use('/api/:tenant', tenant)
      app.use('/api', tenant)
      app.get('/:echo', dspinlock(replay), (req, res) => {
        runs++
        res.send(req.originalUrl)
      })
      server = await serve(app)
    })
    beforeEach(() => {
      runs = 0
    })
    after(() => server.stop())

    const each = async (path: string, asks: readonly Ask[]): Promise<string[]> => {
      const bodies: string[] = []
      for (const ask of asks) bodies.push((await server.ask(path, ask)).body)
      const before = runs
      for (const [at, ask] of asks.entries()) expect((await server.ask(path, ask)).body).to.equal(bodies[at])
      expect(runs, 'the second time from records').to.equal(before)
      return bodies
    }
    const withHeaders = (...all: Record<string, string>[]): Ask[] =>
      all.map(headers => ({ headers: { host: 'shop', ...headers } }))

    it('X-Forwarded-Host, -Proto, -Port, -Prefix, Forwarded and Host: a link made of them is for those who sent them', async () => {
      const bodies = await each(
        '/links',
        withHeaders(
          {},
          { 'x-forwarded-host': 'evil' },
          { 'x-forwarded-proto': 'https' },
          { 'x-forwarded-prefix': '/evil' },
          { host: 'evil.test' },
          { 'x-forwarded-port': '81' },
          { forwarded: 'for=1.2.3.4;host=evil' },
          { forwarded: 'for=1.2.3.4;host=shop' },
        ),
      )
      expect(bodies.slice(0, 5)).to.deep.equal([
        'http://shop/next',
        'http://evil/next',
        'https://shop/next',
        'http://shop/evil/next',
        'http://evil.test/next',
      ])
      expect(runs).to.equal(8)
    })

    it('the forwarding address changes nothing: a client that retries from elsewhere is the same', async () => {
      await each(
        '/links',
        withHeaders(
          { host: 'same', 'x-forwarded-for': '1.1.1.1', forwarded: 'for=1.1.1.1;proto=http' },
          { host: 'same', 'x-forwarded-for': '2.2.2.2', forwarded: 'for=2.2.2.2; PROTO=http' },
        ),
      )
      expect(runs).to.equal(1)
    })

    it('Accept, Accept-Encoding, Accept-Language and X-Forwarded-For count where Vary names them', async () => {
      const asks = withHeaders(
        {},
        { accept: 'text/html' },
        { 'accept-encoding': 'gzip' },
        { 'accept-language': 'de' },
        { 'x-forwarded-for': '9.9.9.9' },
      )
      expect(await each('/negotiated', asks)).to.deep.equal(['|||', 'text/html|||', '|gzip||', '||de|', '|||9.9.9.9'])
    })

    it('an encoded body goes only to those who sent the same Accept-Encoding, whatever Vary says', async () => {
      expect(
        await each('/coded', withHeaders({ 'accept-encoding': 'gzip' }, {}, { 'accept-encoding': 'br' })),
      ).to.deep.equal(['gzip', 'plain', 'br'])
    })

    it('a method that is overridden further in is another method', async () => {
      const asks = [{}, { 'x-http-method-override': 'DELETE' }, { 'x-http-method-override': 'PUT' }].map(headers =>
        json({}, headers),
      )
      expect(await each('/overridden', asks)).to.deep.equal(['POST', 'DELETE', 'PUT'])
      const others = ['x-http-method', 'x-method-override'].map(header => json({}, { [header]: 'DELETE' }))
      await each('/overridden', others)
      expect(runs).to.equal(5)
    })

    it('a URL that something in front has rewritten is another one', async () => {
      const bodies = await each('/api/orders', withHeaders({}, { 'x-tenant': 'acme' }, { 'x-tenant': 'umbrella' }))
      expect(bodies).to.deep.equal(['/api/orders', '/api/acme/orders', '/api/umbrella/orders'])
      // Where only a header says so, as some proxies and frameworks do it.
      const said = ['x-original-url', 'x-original-uri', 'x-rewrite-url', 'x-original-host']
      const asked = [{}, ...said.map(header => ({ [header]: '/admin' }))]
      await each('/links', withHeaders(...asked.map(headers => ({ host: 'rewritten', ...headers }))))
      expect(runs).to.equal(3 + asked.length)
    })

    it('a Vary that names what every object has breaks nothing, and leaves nothing locked', async () => {
      const bodies = [
        (await server.ask('/silly')).body,
        (await server.ask('/silly')).body,
        (await server.ask('/silly')).body,
      ]
      expect(new Set(bodies)).to.deep.equal(new Set(['run 1 ']))
    })

    it('targets that mean the same to the router, or hardly differ, are never mistaken for one another', async () => {
      const targets = [
        '/echo',
        '/ECHO',
        '/echo/',
        '/%65cho',
        '/echo?',
        '/echo?a',
        '/echo?a=',
        '/echo?=a',
        '/echo?a=1&%61=2',
        '/echo?%61=2&a=1',
        '/echo?a[]=1&a[0]=2',
        '/echo?a[0]=2&a[]=1',
        '/echo?a=1;b=2&a=3',
        '/echo?a=3&a=1;b=2',
        '/echo?a=%',
        'http://shop/echo',
        'http://other/echo',
      ]
      for (let n = 0; n < 2; n++) {
        for (const target of targets) {
          const socket = await server.dial(`GET ${target} HTTP/1.1\r\nHost: targets\r\nConnection: close\r\n\r\n`)
          expect((await text(socket)).split('\r\n\r\n')[1]).to.equal(target)
        }
      }
      expect(runs).to.equal(targets.length)
    })

    it('what a lenient parser of Forwarded takes for the host is all in the key', async () => {
      const answers: string[] = []
      for (const forwarded of ['host=shop', 'host=shop @evil', 'host="shop" evil', 'proto=http;host = "shop;evil"']) {
        answers.push((await server.ask('/forwarded', { headers: { host: 'h', forwarded } })).body)
      }
      expect(answers).to.deep.equal(['shop', 'shop @evil', '"shop" evil', '"shop'])
    })

    it('HTTP/1.0 without a Host is a host of its own', async () => {
      const dial = async (head: string): Promise<string> =>
        (await text(await server.dial(`${head}\r\n\r\n`))).split('\r\n\r\n')[1] ?? ''
      expect(await dial('GET /links HTTP/1.0')).to.equal('http://undefined/next')
      expect(await dial('GET /links HTTP/1.0\r\nHost: shop')).to.equal('http://shop/next')
      expect(await dial('GET /links HTTP/1.0')).to.equal('http://undefined/next')
    })

    it('a header that a client sends does not make an answer look like a replay', async () => {
      const answer = await server.ask('/echo', {
        headers: { host: 'spoof', 'idempotent-replayed': 'true', 'cache-status': 'dspinlock; hit', age: '9' },
      })
      expect([answer.headers['idempotent-replayed'], answer.headers['cache-status'], answer.headers.age]).to.deep.equal(
        [undefined, undefined, undefined],
      )
    })
  })
}

describe('poisoning on HTTP/2', () => {
  it('an :authority beside a Host, and a :scheme that is not the connection’s: a link made of them is for those who sent them', async () => {
    const app = new Koa()
    app.use(koaDspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000, identity: 'public' }))
    app.use(ctx => {
      // Koa's idea of the host depends on its version, and any of them may be in a link.
      const { ':authority': authority, ':scheme': scheme, host } = ctx.req.headers
      ctx.body = `${String(scheme)}://${String(authority)}|${host}/next`
    })
    const callback = app.callback()
    const server = createServer((req, res) => void callback(req, res)).listen(0)
    await once(server, 'listening')
    const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const ask = (headers: Record<string, string>): Promise<string> => text(client.request({ ':path': '/', ...headers }))
    expect(await ask({ ':authority': 'evil', host: 'shop' })).to.equal('http://evil|shop/next')
    expect(await ask({ ':authority': 'shop', host: 'evil' })).to.equal('http://shop|evil/next')
    expect(await ask({ ':authority': 'shop', ':scheme': 'javascript' })).to.equal('javascript://shop|undefined/next')
    expect(await ask({ ':authority': 'shop', ':scheme': 'https' })).to.equal('https://shop|undefined/next')
    expect(await ask({ ':authority': 'shop' })).to.equal('http://shop|undefined/next')
    client.close()
    server.close()
    await once(server, 'close')
  })
})
