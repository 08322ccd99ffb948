// Routers, parsers and types around dspinlock on Koa.

import { text } from 'node:stream/consumers'
import { dspinlock, type RequestLock } from '@dspinlock/koa'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import { expect } from 'chai'
import type { Context } from 'koa'
import { koaBody } from 'koa-body'
import compose from 'koa-compose'
import { type Ask, json, type TestServer } from '../support/http.js'
import { koas, serveKoa } from '../support/koa.js'

const form = (contents: string): Ask => ({
  method: 'POST',
  headers: { 'content-type': 'multipart/form-data; boundary=b' },
  body: `--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n${contents}\r\n--b--\r\n`,
})

for (const { name, Koa } of koas) {
  describe(`requests on ${name}`, () => {
    let server: TestServer
    let runs = 0

    before(async () => {
      const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
      const router = new Router()
      const answer = (ctx: Context): void => {
        const lock: RequestLock | undefined = ctx.state.dspinlock
        ctx.body = { run: ++runs, role: lock?.role, got: ctx.request.body as unknown }
      }
      router.use('/inside', dspinlock(replay))
      router.get('/inside/of-router-use', answer)
      router.use('/held', dspinlock(replay))
      router.get('/held', answer)
      router.use('/composed-inside', compose([dspinlock(replay)]))
      router.get('/composed-inside/of-router-use', answer)
      router.get('/composed', compose([dspinlock(replay)]), answer)
      router.get('/route/:id', dspinlock(replay), answer)
      router.post('/body-parser', bodyParser(), dspinlock(replay), answer)
      router.post('/before-body-parser', dspinlock(replay), bodyParser(), answer)
      router.post('/koa-body', koaBody({ multipart: true }), dspinlock(replay), answer)
      router.post(
        '/hashed',
        koaBody({ multipart: true, formidable: { hashAlgorithm: 'sha256' } }),
        dspinlock(replay),
        answer,
      )
      router.post('/before-koa-body', dspinlock(replay), koaBody({ multipart: true }), answer)
      router.post(
        '/consumed',
        bodyParser(),
        async (ctx, next) => {
          await text(ctx.req)
          await next()
        },
        dspinlock(replay),
        answer,
      )
      const app = new Koa()
      router.get('/passed-on', (_ctx, next) => next())
      const below = new Router()
      below.get('/below', compose([dspinlock(replay)]), answer)
      app.use(router.routes())
      app.use(compose([below.routes()]))
      app.use(dspinlock(replay))
      app.use(answer)
      server = await serveKoa(app)
    })
    beforeEach(() => {
      runs = 0
    })
    after(() => server.stop())

    const twice = async (path: string, ask?: Ask): Promise<number> => {
      await server.ask(path, ask)
      expect((await server.ask(path, ask)).status).to.equal(200)
      return runs
    }

    it('on a route of @koa/router a GET is guarded, also composed with others; by router.use it is not', async () => {
      expect(await twice('/route/1')).to.equal(1)
      expect(await twice('/route/2')).to.equal(2)
      expect(await twice('/composed')).to.equal(3)
      expect(await twice('/below')).to.equal(4)
      expect(await twice('/inside/of-router-use')).to.equal(6)
      expect(await twice('/composed-inside/of-router-use')).to.equal(8)
    })

    it('by router.use a GET is not guarded where a route has the very same path, either', async () => {
      expect(await twice('/held')).to.equal(2)
    })

    it('app-wide a GET is not guarded, also behind a router whose route hands it on', async () => {
      expect(await twice('/passed-on')).to.equal(2)
    })

    it('one middleware that is mounted app-wide and composed into a route guards a GET there', async () => {
      const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
      const router = new Router()
      router.get('/', compose([guard]), ctx => {
        ctx.body = { run: ++runs }
      })
      const app = new Koa()
      app.use(guard)
      app.use(router.routes())
      const both = await serveKoa(app)
      await both.ask('/')
      await both.ask('/')
      await both.stop()
      expect(runs).to.equal(1)
    })

    for (const path of ['/body-parser', '/before-body-parser', '/koa-body', '/before-koa-body']) {
      it(`${path.slice(1)}: equal bodies are duplicates, others are not`, async () => {
        const { body } = await server.ask(path, json({ a: 1 }))
        expect(JSON.parse(body)).to.deep.equal({ run: 1, role: 'holder', got: { a: 1 } })
        expect((await server.ask(path, json({ a: 1 }))).body).to.equal(body)
        expect(await twice(path, json({ a: 2 }))).to.equal(2)
        expect(await twice(path, json({}))).to.equal(3)
        const urlencoded = { 'content-type': 'application/x-www-form-urlencoded' }
        expect(await twice(path, { method: 'POST', headers: urlencoded, body: 'a=1' })).to.equal(4)
        expect(await twice(path, { method: 'POST', headers: urlencoded, body: 'a=2' })).to.equal(5)
      })
    }

    it('what no parser parsed is compared by its bytes', async () => {
      const ask = (body: string): Ask => ({ method: 'POST', headers: { 'content-type': 'a/b' }, body })
      expect(await twice('/body-parser', ask('one'))).to.equal(1)
      expect(await twice('/body-parser', ask('two'))).to.equal(2)
    })

    it('a form without fields, of which the parser leaves `{}`, is compared all the same', async () => {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      expect(await twice('/body-parser', { method: 'POST', headers, body: '&&&&&' })).to.equal(1)
    })

    it('a body that somebody else consumed stands for nothing: the requests run', async () => {
      const ask: Ask = { method: 'POST', headers: { 'content-type': 'a/b' }, body: 'something' }
      expect(await twice('/consumed', ask)).to.equal(2)
    })

    it('files are compared by digest, or as raw bytes before the parser; otherwise their requests run', async () => {
      expect(await twice('/hashed', form('one'))).to.equal(1)
      expect(await twice('/hashed', form('two'))).to.equal(2)
      expect(await twice('/before-koa-body', form('one'))).to.equal(3)
      expect(await twice('/koa-body', form('one'))).to.equal(5)
    })
  })
}
