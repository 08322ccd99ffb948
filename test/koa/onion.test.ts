// Middleware outside applies to a replay as to the original; middleware inside is recorded.

import { gunzipSync } from 'node:zlib'
import { dspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import compress from 'koa-compress'
import mount from 'koa-mount'
import session from 'koa-session'
import { type TestServer, until } from '../support/http.js'
import { koas, serveKoa } from '../support/koa.js'
import { slowStore } from '../support/slow-store.js'

for (const { name, Koa } of koas) {
  describe(`the onion of ${name}`, () => {
    let server: TestServer
    let runs = 0
    let log: string[] = []

    before(async () => {
      const app = new Koa()
      app.keys = ['a key of this test']
      app.use(async (ctx, next) => {
        const kind = (): string => (Buffer.isBuffer(ctx.body) ? 'Buffer' : typeof ctx.body)
        await next()
        log.push(`${ctx.status} ${kind()}`)
        if (ctx.path === '/enveloped') ctx.body = { data: ctx.body as unknown }
        if (ctx.path === '/rewritten') ctx.body = (ctx.body as string).replace('x', 'y')
        if (ctx.path === '/nowhere' || ctx.path === '/gone-missing') ctx.body = 'a page of its own'
      })
      app.use(compress({ threshold: 10, br: false, zstd: false } as compress.CompressOptions))
      app.use(session({ key: 'visits' }, app))
      app.use(async (ctx, next) => {
        if (ctx.session !== null) ctx.session['visits'] = Number(ctx.session['visits'] ?? 0) + 1
        await next()
      })
      const guard = {
        methods: ['GET', 'POST'],
        identity: () => 'somebody',
        duplicates: 'replay',
        ttlMs: 60_000,
      } as const
      app.use(mount('/below', dspinlock(guard)))
      app.use(dspinlock(guard))
      app.use(async (ctx, next) => {
        await next()
        ctx.set('X-Inside', String(runs))
      })
      app.use(async (ctx, next) => {
        try {
          await next()
        } catch (error) {
          if (ctx.path !== '/declined-inside') throw error
          ctx.status = 402
          ctx.body = 'declined'
        }
      })
      app.use(ctx => {
        runs++
        if (ctx.path === '/nowhere') return
        if (ctx.path.startsWith('/declined')) ctx.throw(402, 'declined')
        if (ctx.path === '/gone-missing') {
          ctx.status = 404
          return
        }
        if (ctx.path === '/enveloped') ctx.body = { a: [1, '2'], __proto__: { b: 1 } }
        else if (ctx.path === '/rewritten') ctx.body = 'x'
        else if (ctx.path === '/number') ctx.body = 42
        else if (ctx.path === '/file') {
          ctx.attachment('bytes.csv')
          ctx.body = Buffer.from('a,b')
        } else if (ctx.path === '/problem') {
          ctx.body = { status: 400 }
          ctx.type = 'application/problem+json'
          ctx.status = 400
          ctx.message = 'Not Like This'
        } else ctx.body = 'long enough to be compressed, '.repeat(10)
      })
      server = await serveKoa(app)
    })
    beforeEach(() => {
      runs = 0
      log = []
    })
    after(() => server.stop())

    it('compresses replays for those who accept it', async () => {
      const plain = await server.ask('/text')
      const zipped = await server.ask('/text', { headers: { 'accept-encoding': 'gzip' } })
      expect([runs, plain.headers['content-encoding'], zipped.headers['content-encoding']]).to.deep.equal([
        1,
        undefined,
        'gzip',
      ])
      expect(gunzipSync(zipped.bytes).toString()).to.equal(plain.body)
      expect(zipped.headers['x-inside']).to.equal('1')
    })

    it('each client has its own session cookie, also with a replay', async () => {
      const [first, second] = [await server.ask('/session'), await server.ask('/session')]
      expect(runs).to.equal(1)
      for (const { headers } of [first, second]) expect(headers['set-cookie']?.[0]).to.match(/^visits=/)
    })

    for (const [path, body, kind] of [
      ['/enveloped', '{"data":{"a":[1,"2"]}}', '200 object'],
      ['/rewritten', 'y', '200 string'],
      ['/nowhere', 'a page of its own', '404 undefined'],
      ['/gone-missing', 'a page of its own', '404 undefined'],
      ['/problem', '{"status":400}', '400 object'],
      ['/file', 'a,b', '200 Buffer'],
      ['/number', '42', '200 number'],
    ] as const) {
      it(`what is outside sees the replay of ${path} as it saw the original`, async () => {
        const [first, second] = [await server.ask(path), await server.ask(path)]
        expect([runs, first.body, second.body]).to.deep.equal([1, body, body])
        expect([second.status, second.headers['content-type']]).to.deep.equal([
          first.status,
          first.headers['content-type'],
        ])
        expect(log).to.deep.equal([kind, kind])
      })
    }

    it('an error that is thrown is answered outside and leaves no record; one that something inside answers is replayed', async () => {
      for (const [path, most, method] of [
        ['/declined', 2, 'GET'],
        ['/declined', 2, 'POST'],
        ['/declined-inside', 1, 'GET'],
        ['/declined-inside', 1, 'POST'],
      ] as const) {
        runs = 0
        const answers = [await server.ask(path, { method }), await server.ask(path, { method })]
        expect(answers.map(({ status, body }) => [status, body])).to.deep.equal([
          [402, 'declined'],
          [402, 'declined'],
        ])
        expect(runs, `${method} ${path}`).to.equal(most)
      }
    })

    it('the reason phrase is replayed', async () => {
      const socket = await server.dial('GET /problem HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
      await server.left()
      const again = await server.dial('GET /problem HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
      const [line] = (await again.setEncoding('latin1').take(1).toArray()) as string[]
      expect(line).to.match(/^HTTP\/1.1 400 Not Like This\r\n/)
      socket.destroy()
    })

    it('what is outside goes on when the hold has ended, after an answer and after an error', async () => {
      const slow = slowStore()
      const app = new Koa()
      app.silent = true
      let passed = 0
      app.use(async (_ctx, next) => {
        try {
          await next()
        } finally {
          passed++
        }
      })
      app.use(dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000, store: slow.store }))
      app.use(ctx => {
        if (ctx.path === '/declined') ctx.throw(402)
        ctx.body = 'done'
      })
      const other = await serveKoa(app)
      for (const [path, status] of [
        ['/answer', 200],
        ['/declined', 402],
      ] as const) {
        slow.shut()
        const before = { ends: slow.ends(), passed }
        const asked = other.ask(path)
        await until(() => slow.ends() === before.ends + 1, 'the hold is about to end')
        await new Promise(resolve => setImmediate(resolve))
        expect(passed).to.equal(before.passed)
        slow.open()
        expect((await asked).status).to.equal(status)
        expect(passed).to.equal(before.passed + 1)
      }
      await other.stop()
    })

    it('below koa-mount the path as the client sent it counts', async () => {
      await server.ask('/below/text')
      await server.ask('/below/other')
      await server.ask('/text')
      expect(runs).to.equal(2)
    })
  })
}
