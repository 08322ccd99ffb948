// A guard in front of a whole server: duplicates are answered before the framework runs.

import { once } from 'node:events'
import type { RequestListener, ServerResponse } from 'node:http'
import { dspinlock } from '@dspinlock/express'
import { type GuardedListener, type GuardedRequest, guard, type Listener } from '@dspinlock/http'
import { expect } from 'chai'
import express from 'express'
import Koa from 'koa'
import { type Answer, Gate, serve, type TestServer, until } from '../support/http.js'
import { noteTroubles } from '../support/troubles.js'

const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
const json = (body: unknown, headers: Record<string, string> = {}) => ({
  method: 'POST',
  body: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...headers },
})

describe('a guard in front of a server', () => {
  let server: TestServer | undefined
  let guarded: GuardedListener | undefined
  let runs = 0
  let seen = 0

  const start = async (listener: RequestListener): Promise<TestServer['ask']> => {
    runs = 0
    seen = 0
    const started = await serve(listener)
    server = started
    return (path, ask) => started.ask(path, ask)
  }
  afterEach(async () => {
    await server?.stop()
    await guarded?.close()
    server = undefined
    guarded = undefined
  })

  /** An app that counts the requests that its first middleware sees and that its handler runs. */
  const makeExpress = (): express.Express => {
    const app = express()
    app.use((_req, _res, next) => {
      seen++
      next()
    })
    app.use(express.json())
    app.all('/work', (req, res) => {
      runs++
      const { role } = (req as GuardedRequest).dspinlock ?? {}
      setImmediate(() => res.json({ runs, role, body: (req.body as unknown) ?? null }))
    })
    return app
  }
  const makeKoa = (): RequestListener => {
    const app = new Koa()
    app.use(async ctx => {
      seen++
      runs++
      const chunks: Buffer[] = []
      for await (const chunk of ctx.req) chunks.push(chunk as Buffer)
      const text = Buffer.concat(chunks).toString()
      const { role } = (ctx.req as GuardedRequest).dspinlock ?? {}
      ctx.body = { runs, role, body: text === '' ? null : (JSON.parse(text) as unknown) }
    })
    return app.callback() as RequestListener
  }
  const makePlain = (): RequestListener => (req, res) => {
    seen++
    runs++
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const { role } = (req as GuardedRequest).dspinlock ?? {}
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify({ runs, role, body: text === '' ? null : (JSON.parse(text) as unknown) }))
    })
  }

  for (const [name, make] of [
    ['Express', makeExpress],
    ['Koa', makeKoa],
    ['node:http alone', makePlain],
  ] as const) {
    describe(`of ${name}`, () => {
      describe('whoever has the response before it finds the headers of a replay on it', () => {
        const cases: readonly (readonly [how: string, touch: (res: ServerResponse, note: () => void) => void])[] = [
          ['a listener for `finish`', (res, note) => void res.once('finish', note)],
          ['a listener for `close`', (res, note) => void res.once('close', note)],
          [
            'an `end` of its own',
            (res, note) => {
              const end = res.end.bind(res) as (...args: unknown[]) => ServerResponse
              res.end = (...args: unknown[]) => {
                const ended = end(...args)
                note()
                return ended
              }
            },
          ],
          [
            'a `writeHead` of its own',
            (res, note) => {
              const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => ServerResponse
              res.writeHead = (...args: unknown[]) => {
                note()
                return writeHead(...args)
              }
            },
          ],
        ]
        for (const [how, touch] of cases) {
          it(how, async () => {
            const inFront = guard(makeExpress(), replay)
            guarded = inFront
            let noted = (_type: unknown): void => {}
            const ask = await start((req, res) => {
              touch(res, () => noted(res.getHeader('content-type')))
              inFront(req, res)
            })
            await ask('/work', json({ a: 1 }))
            const type = new Promise(resolve => {
              noted = resolve
            })
            const again = await ask('/work', json({ a: 1 }))
            expect(again.headers['cache-status']).to.equal('dspinlock; hit')
            expect(await type).to.equal('application/json; charset=utf-8')
          })
        }
      })

      it('duplicates at once are one run and one answer; the body reaches the handler whole', async () => {
        guarded = guard(make(), replay)
        const ask = await start(guarded)
        const answers = await Promise.all(Array.from({ length: 20 }, () => ask('/work', json({ pay: 1 }))))
        expect([runs, seen]).to.deep.equal([1, 1])
        expect(JSON.parse(answers[0]?.body ?? '')).to.deep.equal({ runs: 1, role: 'holder', body: { pay: 1 } })
        expect(new Set(answers.map(({ body }) => body)).size).to.equal(1)
      })

      it('a later duplicate is answered without the framework, with the headers of the first answer', async () => {
        guarded = guard(make(), { ...replay, methods: ['GET'] })
        const ask = await start(guarded)
        const first = await ask('/work')
        const second = await ask('/work')
        expect([runs, seen]).to.deep.equal([1, 1])
        expect(second.body).to.equal(first.body)
        expect(second.headers['cache-status']).to.equal('dspinlock; hit')
        for (const field of ['content-type', 'etag', 'x-powered-by']) {
          expect(second.headers[field], field).to.equal(first.headers[field])
        }
      })

      it('another body, another path, another Authorization is another request', async () => {
        guarded = guard(make(), replay)
        const ask = await start(guarded)
        await ask('/work', json({ pay: 1 }))
        await ask('/work', json({ pay: 2 }))
        await ask('/work?again', json({ pay: 1 }))
        await ask('/work', json({ pay: 1 }, { authorization: 'Bearer other' }))
        expect(runs).to.equal(4)
      })

      it('what is not guarded passes through, without a lock', async () => {
        guarded = guard(make(), replay)
        const ask = await start(guarded)
        await ask('/work')
        expect(JSON.parse((await ask('/work')).body)).to.deep.equal({ runs: 2, body: null })
      })
    })
  }

  it('a middleware further in decides, and does not wait for the one in front', async () => {
    const app = express()
    app.get('/work', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
      runs++
      res.json({ runs })
    })
    guarded = guard(app, { methods: ['GET'] })
    const ask = await start(guarded)
    const bodies: Answer['body'][] = []
    for (let n = 0; n < 3; n++) bodies.push((await ask('/work')).body)
    expect([runs, new Set(bodies).size]).to.deep.equal([1, 1])
  })

  it('a function among the options that throws: 500, published as trouble, and nothing of the error to the client', async () => {
    const { noted, stop } = noteTroubles('http')
    const broken = new Error('no such tenant: acme')
    guarded = guard(makeExpress(), {
      ...replay,
      identity: () => {
        throw broken
      },
    })
    const ask = await start(guarded)
    const { status, body } = await ask('/work', json({}))
    stop()
    expect([status, runs]).to.deep.equal([500, 0])
    expect(body).to.equal('Internal Server Error')
    expect(noted.map(({ error }) => error)).to.deep.equal([broken])
  })

  for (const [what, answer] of [
    ['answered', (res: ServerResponse) => void res.end('its own')],
    ['begun to answer', (res: ServerResponse) => void (res.write('its'), setImmediate(() => res.end(' own')))],
  ] as const) {
    it(`a function among the options that throws after it has ${what}: its answer stays`, async () => {
      guarded = guard(makeExpress(), {
        ...replay,
        skip: (_req, res) => {
          answer(res)
          throw new Error('planned')
        },
      })
      const ask = await start(guarded)
      const { status, body } = await ask('/work', json({}))
      expect([status, body, runs]).to.deep.equal([200, 'its own', 0])
    })
  }

  it('what the listener throws is uncaught, as without the guard', async () => {
    const thrown = new Error('of the listener')
    guarded = guard(() => {
      throw thrown
    }, replay)
    await start(guarded)
    const before = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    try {
      const caught = new Promise<unknown>(resolve => process.once('uncaughtException', resolve))
      const socket = await server?.dial('POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
      expect(await caught).to.equal(thrown)
      socket?.destroy()
    } finally {
      for (const listener of before) process.on('uncaughtException', listener)
    }
  })

  it('a rejection of the listener is unhandled, as without the guard, and its duplicates go on', async () => {
    const thrown = new Error('of the listener')
    guarded = guard(async (_req, res) => {
      if (++runs === 1) throw thrown
      res.end(`run ${runs}`)
    })
    const ask = await start(guarded)
    const before = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    try {
      const rejected = new Promise<unknown>(resolve => process.once('unhandledRejection', resolve))
      const socket = await server?.dial('POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n')
      expect(await rejected).to.equal(thrown)
      expect((await ask('/work', { method: 'POST', headers: { host: 'a' } })).body).to.equal('run 2')
      socket?.destroy()
    } finally {
      for (const listener of before) process.on('unhandledRejection', listener)
    }
  })

  for (const [what, options, method, told] of [
    ['one after another: the next one runs', {}, 'POST', [200, 'run 2']],
    ['a read: the next one runs', { ...replay, methods: ['GET'] }, 'GET', [200, 'run 2']],
    ['a write: the next one is told that it is done', replay, 'POST', [409, 'not-kept']],
    ['a promise of another implementation', {}, 'POST', [200, 'run 2']],
  ] as const) {
    it(`a listener whose promise resolves without an answer, because its client has left, holds its key no longer (${what})`, async () => {
      const begun = new Gate()
      const listener: Listener = async (_req, res) => {
        if (++runs > 1) return void res.end(`run ${runs}`)
        const closed = once(res, 'close')
        begun.open()
        await closed
      }
      const foreign: Listener = (req, res) => {
        // No instance of Promise, as where a program replaces the global one.
        const prototype = Object.create(null, Object.getOwnPropertyDescriptors(Promise.prototype))
        return Object.setPrototypeOf(listener(req, res), prototype)
      }
      guarded = guard(what.includes('another implementation') ? foreign : listener, options)
      const ask = await start(guarded)
      const socket = await server?.dial(`${method} /work HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
      await begun.opened
      socket?.destroy()
      const { status, body } = await ask('/work', { method, headers: { host: 'a' } })
      expect([status, status === 200 ? body : (JSON.parse(body) as { code: string }).code]).to.deep.equal(told)
    })
  }

  it('the same behind another answer on its connection, where the response knows of nothing', async () => {
    const begun = new Gate()
    guarded = guard(async (req, res) => {
      if (req.url === '/never') return
      if (++runs > 1) return void res.end(`run ${runs}`)
      const closed = once(req.socket, 'close')
      begun.open()
      await closed
    })
    const ask = await start(guarded)
    const never = 'GET /never HTTP/1.1\r\nHost: a\r\n\r\n'
    const socket = await server?.dial(`${never}POST /work HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`)
    await begun.opened
    socket?.destroy()
    expect((await ask('/work', { method: 'POST', headers: { host: 'a' } })).body).to.equal('run 2')
  })

  it('a listener whose promise resolves before its answer keeps its key while its client is there', async () => {
    const gate = new Gate()
    guarded = guard(async (_req, res) => {
      const run = ++runs
      void gate.opened.then(() => res.end(`run ${run}`))
    }, replay)
    const ask = await start(guarded)
    const first = ask('/work', json({}))
    await until(() => runs === 1, 'the first one runs')
    const second = ask('/work', json({}))
    await new Promise(resolve => setImmediate(resolve))
    gate.open()
    expect([(await first).body, (await second).body]).to.deep.equal(['run 1', 'run 1'])
  })

  it('after close, newcomers are refused with 503', async () => {
    guarded = guard(makeExpress(), replay)
    const ask = await start(guarded)
    await guarded.close()
    expect((await ask('/work', json({}))).status).to.equal(503)
  })

  it('wrong options throw at once', () => {
    for (const wrong of [undefined, replay, new Koa()]) {
      expect(() => guard(wrong as never)).to.throw(
        TypeError,
        /listener must be a function, .*koa\.callback\(\), but received/,
      )
    }
    expect(() => guard(makePlain(), { duplicates: 'sometimes' } as never)).to.throw(TypeError, /duplicates/)
  })
})
