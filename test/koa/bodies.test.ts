// Everything that ctx.body can be, however it was set, is replayed as it was sent.

import { Readable } from 'node:stream'
import { dspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import type { Context } from 'koa'
import type { TestServer } from '../support/http.js'
import { koas, serveKoa } from '../support/koa.js'

const encoder = new TextEncoder()
const webStream = (): ReadableStream =>
  new ReadableStream({
    start: controller => {
      controller.enqueue(encoder.encode('one '))
      controller.enqueue(encoder.encode('twö'))
      controller.close()
    },
  })

const answers: Record<string, (ctx: Context) => void> = {
  string: ctx => void (ctx.body = 'täxt'),
  html: ctx => void (ctx.body = '<p>'),
  buffer: ctx => void (ctx.body = Buffer.from([0, 250])),
  object: ctx => void (ctx.body = { a: 1 }),
  list: ctx => void (ctx.body = ['one']),
  number: ctx => void (ctx.body = 42),
  date: ctx => void (ctx.body = new Date(0)),
  // An object lists its indices first, even if they come in another order from elsewhere.
  'index-last': ctx => {
    ctx.body = { rows: [0, new Proxy({ b: -1.5, 1: 2 }, { ownKeys: () => ['b', '1'] })] }
  },
  'json-null': ctx => {
    ctx.body = { toJSON: () => null }
  },
  null: ctx => void (ctx.body = null),
  'null-200': ctx => {
    ctx.body = null
    ctx.status = 200
  },
  undefined: () => {},
  'status-only': ctx => void (ctx.status = 202),
  'own-status': ctx => void (ctx.status = 299),
  'empty-message': ctx => {
    ctx.status = 202
    ctx.message = ''
  },
  'message-only': ctx => void (ctx.message = 'Nothing Here'),
  stream: ctx => void (ctx.body = Readable.from(['one ', 'twö'])),
  'empty-stream': ctx => void (ctx.body = Readable.from([])),
  // Like koa-send: the length is set before the other headers.
  file: ctx => {
    ctx.length = 3
    ctx.set('Last-Modified', new Date(0).toUTCString())
    ctx.type = 'text/plain'
    ctx.body = Readable.from(['one'])
  },
  attachment: ctx => {
    ctx.attachment('naïve.csv')
    ctx.body = Readable.from([Buffer.from('a,b')])
  },
  'empty-attachment': ctx => {
    ctx.set('Content-Disposition', 'attachment; filename="naïve.csv"')
    ctx.status = 204
  },
  'raw-attachment': ctx => {
    ctx.set('Content-Disposition', 'attachment; filename="naïve.csv"')
    ctx.body = Readable.from([Buffer.from('a,b')])
    ctx.length = 3
  },
  type: ctx => {
    ctx.type = 'image/svg+xml'
    ctx.body = '<svg/>'
  },
  untyped: ctx => {
    ctx.body = Buffer.from('x')
    ctx.remove('Content-Type')
  },
  'lower-case': ctx => {
    ctx.res.setHeader('x-lower', ['1', '2'])
    ctx.body = 'x'
  },
  redirect: ctx => ctx.redirect('/elsewhere'),
}
/** JSON as other languages write it, if this Node can write it (22 and later). */
const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown }
const raws = ['-0', '1.0', '1e3', '0.0000001', '12345678901234567890', '"\\u0041"', '"\\/"']
for (const [at, text] of raws.entries()) {
  if (rawJSON === undefined) continue
  answers[`raw-${at}`] = ctx => void (ctx.body = { first: rawJSON(text), list: [rawJSON(text), 1, rawJSON(text)] })
}
/** Koa 2 renders them as `{}`. */
const webAnswers: Readonly<Record<string, (ctx: Context) => void>> = {
  'web stream': ctx => void (ctx.body = webStream()),
  blob: ctx => void (ctx.body = new Blob(['one ', 'two'], { type: 'text/x-blob' })),
  response: ctx => {
    ctx.body = new Response(webStream(), { status: 203, headers: { 'x-of': 'the response', 'content-type': 'a/b' } })
  },
  'empty response': ctx => void (ctx.body = new Response(null, { status: 200 })),
  'stream of another realm': ctx => {
    ctx.body = new Proxy(Readable.from(['one']), { getPrototypeOf: () => Object.prototype })
  },
}

for (const { name, Koa } of koas) {
  describe(`response bodies on ${name}`, () => {
    const all = name === 'Koa 3' ? { ...answers, ...webAnswers } : answers
    let server: TestServer
    let runs = 0

    before(async () => {
      const app = new Koa()
      app.use(async (ctx, next) => {
        if (!ctx.path.startsWith('/bare/')) await guard(ctx, next)
        else await next()
      })
      const guard = dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000 })
      app.use(ctx => {
        runs++
        all[decodeURIComponent(ctx.path.slice(ctx.path.lastIndexOf('/') + 1))]?.(ctx)
      })
      server = await serveKoa(app)
    })
    beforeEach(() => {
      runs = 0
    })
    after(() => server.stop())

    for (const kind of Object.keys(all)) {
      it(`${kind}: the first client gets what it gets without dspinlock, and the second one the same`, async () => {
        const path = encodeURIComponent(kind)
        const bare = await server.ask(`/bare/${path}`)
        const first = await server.ask(`/${path}`)
        const { date: _date, ...headers } = bare.headers
        expect(first.headers).to.deep.include(headers)
        expect(Object.keys(first.headers)).to.deep.equal(Object.keys(bare.headers))
        expect([first.status, first.body]).to.deep.equal([bare.status, bare.body])
        const second = await server.ask(`/${path}`)
        expect(runs).to.equal(2)
        const { 'transfer-encoding': encoding, ...kept } = headers
        expect(second.headers).to.deep.include(kept)
        const added = ['date', 'age', 'cache-status', ...(encoding === undefined ? [] : ['content-length'])]
        expect(second.headers).to.have.all.keys([...Object.keys(kept), ...added])
        expect([second.status, second.body]).to.deep.equal([bare.status, bare.body])
        expect(second.headers['cache-status']).to.equal('dspinlock; hit')
      })
    }

    it('a toJSON that somebody gave to arrays is applied once', async () => {
      const prototype = Array.prototype as { toJSON?: (this: unknown[]) => unknown }
      prototype.toJSON = function () {
        return [...this, 'more']
      }
      try {
        const first = await server.ask('/list?taught')
        expect(first.body).to.equal('["one","more"]')
        expect((await server.ask('/list?taught')).body).to.equal(first.body)
      } finally {
        delete prototype.toJSON
      }
    })
  })
}
