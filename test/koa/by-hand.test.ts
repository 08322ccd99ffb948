// A response that is sent past Koa, or that Koa cannot send, makes no record, but the hold ends with it; errors go where they would have gone.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { endWithoutResponse } from '@dspinlock/http'
import { dspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import type { Context } from 'koa'
import { Gate, type TestServer, until } from '../support/http.js'
import { koas, serveKoa } from '../support/koa.js'
import { slowStore } from '../support/slow-store.js'

async function readResponse(): Promise<Response> {
  const response = new Response('read')
  await response.text()
  return response
}

for (const { name, Koa } of koas) {
  describe(`past ${name}`, () => {
    const slow = slowStore()
    const guard = dspinlock({ methods: ['GET', 'POST'], duplicates: 'replay', ttlMs: 60_000 })
    const serialise = dspinlock({ methods: ['GET'] })
    const patient = dspinlock({ methods: ['GET'], store: slow.store })
    const reject = dspinlock({ duplicates: 'reject', ttlMs: 60_000 })
    const keep = dspinlock({ duplicates: 'replay', ttlMs: 60_000, serverErrors: 'keep' })
    const handlers: Record<string, (ctx: Context) => unknown> = {
      '/respond': ctx => {
        ctx.respond = false
        taken.push(ctx.res)
      },
      '/taken-outside': ctx => void taken.push(ctx.res),
      '/patient': ctx => {
        ctx.respond = false
        taken.push(ctx.res)
      },
      '/written': ctx => {
        ctx.res.write('by ')
        ctx.respond = false
        taken.push(ctx.res)
      },
      '/dropped': async ctx => {
        ctx.respond = false
        ctx.res.statusCode = 200
        if (runs > 1) return void ctx.res.end('again')
        await once(ctx.res, 'close')
        endWithoutResponse(ctx.req, 'cut')
      },
      '/ended': ctx => {
        ctx.res.statusCode = 200
        ctx.res.end('by hand')
      },
      '/big': ctx => void (ctx.body = { amount: 1n }),
      '/big-left': async ctx => {
        await gate.opened
        ctx.body = { amount: 1n }
      },
      '/big-outside': ctx => void (ctx.body = { amount: 1n }),
      '/shared': async ctx => {
        await shared.opened
        ctx.body = 'of the handler'
      },
      '/big-rejected': ctx => void (ctx.body = { amount: 1n }),
      '/function-rejected': ctx => void (ctx.body = () => {}),
      '/used': async ctx => void (ctx.body = await readResponse()),
      '/used-rejected': async ctx => void (ctx.body = await readResponse()),
      '/big-rendered-outside': ctx => void (ctx.body = { amount: 1n }),
      '/throws': ctx => ctx.throw(418, 'short and stout'),
      '/error': () => {
        throw thrown
      },
      '/fails': ctx => {
        throw Object.assign(new Error('of the handler'), JSON.parse(String(ctx.query['as'])))
      },
    }
    const thrown = new Error('of the handler')
    const gate = new Gate()
    const shared = new Gate()
    let server: TestServer
    let runs = 0
    let taken: ServerResponse[] = []
    let caught: unknown[] = []

    before(async () => {
      const app = new Koa()
      app.silent = true
      app.use(async (_ctx, next) => {
        try {
          await next()
        } catch (error) {
          caught.push(error)
          throw error
        }
      })
      app.use(async (ctx, next) => {
        if (ctx.path === '/taken-outside') ctx.respond = false
        const isBegun = ctx.get('x-begun') !== ''
        if (isBegun) ctx.res.write('begun ')
        await next()
        if (isBegun) ctx.res.end('and ended outside')
        if (ctx.path === '/big-outside') await new Promise(() => {})
        if (ctx.path === '/big-left') throw thrown
        if (ctx.path !== '/big-rendered-outside') return
        ctx.body = JSON.stringify(ctx.body, (_name, value) => (typeof value === 'bigint' ? String(value) : value))
      })
      const guards: Record<string, typeof guard> = {
        '/respond': serialise,
        '/patient': patient,
        '/big-rejected': reject,
        '/function-rejected': reject,
        '/used-rejected': reject,
        '/taken-outside': reject,
        '/fails': keep,
      }
      app.use((ctx, next) => (guards[ctx.path] ?? guard)(ctx, next))
      app.use(ctx => {
        runs++
        return handlers[ctx.path]?.(ctx)
      })
      server = await serveKoa(app)
    })
    beforeEach(() => {
      runs = 0
      taken = []
      caught = []
    })
    after(() => server.stop())

    it('ctx.respond = false: the hold is kept until the raw response ends', async () => {
      const first = server.ask('/respond')
      await until(() => taken.length === 1, 'the first one runs')
      const second = server.ask('/respond')
      await until(() => serialise.engine.waiters === 1, 'the second one waits')
      taken[0]?.end('first')
      expect((await first).body).to.equal('first')
      await until(() => taken.length === 2, 'the second one runs')
      taken[1]?.end('second')
      expect((await second).body).to.equal('second')
      expect(serialise.engine.keys).to.equal(0)
    })

    it('ctx.respond = false outside: a duplicate that is refused gets its answer all the same', async () => {
      const first = server.ask('/taken-outside', { method: 'POST' })
      await until(() => taken.length === 1, 'the first one runs')
      const second = await server.ask('/taken-outside', { method: 'POST' })
      expect([second.status, second.headers['content-type']]).to.deep.equal([409, 'application/problem+json'])
      taken[0]?.end('first')
      expect((await first).body).to.equal('first')
    })

    it('its end waits for the store as any does', async () => {
      let ended = false
      const first = server.ask('/patient').then(answer => {
        ended = true
        return answer
      })
      await until(() => taken.length === 1, 'it runs')
      taken[0]?.end('first')
      await until(() => slow.ends() === 1, 'the hold is about to end')
      await new Promise(resolve => setTimeout(resolve, 20))
      expect(ended).to.equal(false)
      slow.open()
      expect((await first).body).to.equal('first')
    })

    for (const path of ['/written', '/ended']) {
      it(`${path.slice(1)} by hand: not recorded; a read runs again, a write does not`, async () => {
        const end = async (method: string): Promise<[number, string]> => {
          const before = taken.length
          const answer = server.ask(path, { method })
          if (path === '/written') await until(() => taken.length > before, 'it runs')
          taken[before]?.end('hand')
          const { status, body } = await answer
          return [status, body]
        }
        expect((await end('GET'))[1]).to.equal('by hand')
        expect((await end('GET'))[1]).to.equal('by hand')
        expect(runs).to.equal(2)
        expect((await end('POST'))[1]).to.equal('by hand')
        const refused = await server.ask(path, { method: 'POST' })
        expect([refused.status, runs]).to.deep.equal([409, 3])
      })
    }

    for (const [method, told] of [
      ['GET', [200, 2]],
      ['POST', [409, 1]],
    ] as const) {
      it(`dropped by hand, because its client has left: ${method === 'GET' ? 'a read runs again' : 'a write is not done twice'}`, async () => {
        const socket = await server.dial(`${method} /dropped HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`)
        await until(() => runs === 1, 'it runs')
        socket.destroy()
        const { status } = await server.ask('/dropped', { method, headers: { host: 'h' } })
        expect([status, runs]).to.deep.equal(told)
      })
    }

    it('ctx.throw and thrown errors pass unchanged, leave nothing, and the next one runs', async () => {
      for (let n = 0; n < 2; n++) {
        const answer = await server.ask('/throws')
        expect([answer.status, answer.body]).to.deep.equal([418, 'short and stout'])
        expect((await server.ask('/error')).status).to.equal(500)
      }
      expect(runs).to.equal(4)
      expect([caught[1], caught[3]]).to.deep.equal([thrown, thrown])
    })

    for (const [as, first, second] of [
      [{ status: 400 }, 400, 400],
      [{ statusCode: 404 }, 404, 404],
      [{ status: 503 }, 503, 409],
      // What does not look like a refusal is a failure, whatever Koa answers.
      [{ status: '404' }, 500, 409],
      [{ status: 200 }, 200, 409],
    ] as const) {
      const json = JSON.stringify(as)
      it(`with serverErrors: 'keep', a write that throws ${json} ${second === 409 ? 'is done' : 'was refused, and the next one runs'}`, async () => {
        const path = `/fails?as=${encodeURIComponent(json)}`
        const statuses = [await server.ask(path, { method: 'POST' }), await server.ask(path, { method: 'POST' })]
        expect(statuses.map(({ status }) => status)).to.deep.equal([first, second])
      })
    }

    for (const path of ['/big', '/big-rejected', '/function-rejected']) {
      it(`a body that Koa cannot send (${path.slice(1)}): it fails as without us, leaves nothing, and the next one runs`, async () => {
        for (let n = 0; n < 2; n++) {
          const answer = await server.ask(path, { method: 'POST' })
          expect([answer.status, answer.body]).to.deep.equal([500, 'Internal Server Error'])
        }
        expect([runs, guard.engine.keys, reject.engine.keys]).to.deep.equal([2, 0, 0])
      })
    }

    // Koa 2 does not know them, and sends what JSON makes of one.
    if (name === 'Koa 3') {
      it('a web response that was read already: it fails as without us, leaves nothing, and the next one runs', async () => {
        for (const path of ['/used', '/used-rejected']) {
          for (let n = 0; n < 2; n++) expect((await server.ask(path, { method: 'POST' })).status).to.equal(500)
        }
        expect([runs, guard.engine.keys, reject.engine.keys]).to.deep.equal([4, 0, 0])
      })
    }

    it('one whose client has left, and whose failure ends nothing, holds nothing either', async () => {
      const socket = await server.dial('POST /big-left HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
      await until(() => runs === 1, 'it runs')
      const left = server.left()
      socket.destroy()
      await left
      gate.open()
      await until(() => caught.length === 1, 'what is outside fails')
      expect(guard.engine.keys).to.equal(0)
    })

    it('one whose client leaves before what is outside is done holds nothing, either', async () => {
      const socket = await server.dial('POST /big-outside HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
      await until(() => runs === 1, 'it runs')
      expect(guard.engine.keys).to.equal(1)
      socket.destroy()
      await until(() => guard.engine.keys === 0, 'the hold ended')
    })

    it('a duplicate whose answer was begun outside is left alone', async () => {
      const first = server.ask('/shared')
      await until(() => runs === 1, 'the first one runs')
      const second = server.ask('/shared', { headers: { 'x-begun': 'yes' } })
      await until(() => guard.engine.waiters === 1, 'the second one waits')
      shared.open()
      expect([(await first).body, (await second).body]).to.deep.equal(['of the handler', 'begun and ended outside'])
      expect([runs, caught]).to.deep.equal([1, []])
    })

    it('one that only something outside can send is not kept; a write is not done twice', async () => {
      const ask = { method: 'POST' }
      expect((await server.ask('/big-rendered-outside', ask)).body).to.equal('{"amount":"1"}')
      const refused = await server.ask('/big-rendered-outside', ask)
      expect([refused.status, runs, guard.engine.keys]).to.deep.equal([409, 1, 0])
    })
  })
}
