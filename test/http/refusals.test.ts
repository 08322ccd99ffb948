// Refusals, wrong options, and closing.

import { METHODS, type RequestListener } from 'node:http'
import { LockEngine } from '@dspinlock/core'
import { dspinlock, memoryStore } from '@dspinlock/express'
import { dspinlock as koaDspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import Koa from 'koa'
import { Gate, serve, until } from '../support/http.js'

describe('refusals', () => {
  const wrong: readonly [string, unknown, RegExp][] = [
    ['an unknown option', { dupes: 'replay' }, /unknown option "dupes".*duplicates/],
    ['a wrong policy', { duplicates: 'replay!' }, /duplicates must be one of .* received "replay!"/],
    ['negative milliseconds', { leaseMs: -1 }, /leaseMs .* received -1/],
    ['NaN milliseconds', { waitMs: Number.NaN }, /waitMs .* received NaN/],
    ['a ttl without records', { ttlMs: 5 }, /ttlMs must be 0 with duplicates: 'serialise'/],
    [
      'a store without a method',
      { store: { ...memoryStore(), open: () => ({}) } },
      /store must be a store like .*redisStore\(…\), with claim\(\)/,
    ],
    [
      'a client for a store',
      { store: new Redis({ lazyConnect: true }) },
      /store must be a store like .*redisStore\(…\)/,
    ],
    ['a URL for a store', { store: 'redis://localhost' }, /store must be a store, for example .*redisStore/],
    ['a number for a function', { skip: 1 }, /skip must be a function.* received 1/],
    ['a short secret', { secret: 'short' }, /secret must be .* not shown/],
    ['a secret that is one character too short', { secret: 'x'.repeat(15) }, /secret must be .* not shown/],
    ['a list for a secret', { secret: Array(16).fill('x') }, /secret must be .* not shown/],
    ...[{ store: memoryStore() }, { maxWaiters: 1 }, { maxWaitersPerKey: 1 }].map(
      (beside): [string, unknown, RegExp] => [
        `an engine beside ${Object.keys(beside).join()}`,
        { engine: new LockEngine({ store: memoryStore() }), ...beside },
        /engine must be left out with store, maxWaiters or maxWaitersPerKey/,
      ],
    ),
    ...[[], 'GET', ['GET', 1], [['GET']], ['get'], ['GETx'], ['xGET'], ['']].map(
      (methods): [string, unknown, RegExp] => [
        `${JSON.stringify(methods)} for methods`,
        { methods },
        /methods must be a list from http\.METHODS/,
      ],
    ),
    ['headFromGet without replays', { headFromGet: true }, /headFromGet must be left out unless/],
    [
      'headFromGet where GET is not guarded',
      { headFromGet: true, duplicates: 'replay', methods: ['POST'] },
      /headFromGet must be left out unless/,
    ],
  ]
  for (const [what, options, message] of wrong) {
    it(`${what} is a TypeError at start that names it`, () => {
      expect(() => dspinlock(options as object)).to.throw(TypeError, message)
    })
  }

  it('what is just long enough, or goes together, is taken', () => {
    for (const right of [
      { secret: 'x'.repeat(16) },
      { headFromGet: true, duplicates: 'replay' },
      { headFromGet: true, duplicates: 'replay', methods: ['GET'] },
      { headFromGet: false, methods: ['POST'] },
      { engine: new LockEngine({ store: memoryStore() }) },
    ] as const)
      expect(dspinlock(right)).to.be.a('function')
  })

  it('every method that Node knows may be guarded, M-SEARCH too; not in small letters, and no misspelt one, which would guard nothing', () => {
    expect(dspinlock({ methods: METHODS })).to.be.a('function')
    for (const methods of [['post'], ['GET', 'PSOT'], []]) {
      expect(() => dspinlock({ methods })).to.throw(TypeError, /methods must be a list from http\.METHODS/)
    }
  })

  it('a maker of middleware that is mounted as one says so', async () => {
    const onExpress = express().use(dspinlock as unknown as RequestHandler)
    onExpress.use(((error, _req, res, _next) => void res.send(String(error))) satisfies ErrorRequestHandler)
    const onKoa = new Koa().use(async (ctx, next) => {
      await next().catch((error: unknown) => (ctx.body = String(error)))
    })
    onKoa.use(koaDspinlock as unknown as Koa.Middleware)
    for (const app of [onExpress, onKoa.callback()]) {
      const server = await serve(app as RequestListener)
      expect((await server.ask('/')).body).to.match(/^TypeError: dspinlock: .* write app\.use\(dspinlock\(\)\)/)
      await server.stop()
    }
  })

  it('onRefused is not called for a request that other code, for example a time limit, has answered meanwhile', async () => {
    const gate = new Gate()
    const seen: string[] = []
    const guard = dspinlock({
      duplicates: 'reject',
      onRefused: ({ status }, _req, res) => {
        seen.push('refused')
        res.sendStatus(status)
      },
    })
    const answerInTime: RequestHandler = (_req, res, next) => {
      if (seen.length > 0) res.send('too late')
      next()
    }
    const app = express()
    app.post('/', answerInTime, guard, (_req, res, next) => {
      seen.push('runs')
      gate.opened.then(() => res.send('done'), next)
    })
    app.use(((error, _req, _res, next) => {
      seen.push(String(error))
      next(error)
    }) satisfies ErrorRequestHandler)
    const server = await serve(app)
    const holder = server.ask('/', { method: 'POST' })
    await until(() => seen.length > 0, 'it runs')
    expect((await server.ask('/', { method: 'POST' })).body).to.equal('too late')
    gate.open()
    expect([(await holder).body, seen]).to.deep.equal(['done', ['runs']])
    await guard.close()
    await server.stop()
  })

  it('a refusal does not say of itself what code in front said of the answer', async () => {
    const front = { 'Content-Encoding': 'gzip', 'Content-Disposition': 'attachment', ETag: '"1"', 'X-Kept': '1' }
    const app = express()
    app.use((_req, res, next) => {
      res.set(front)
      next()
    })
    app.post('/', dspinlock({ duplicates: 'reject', ttlMs: 60_000 }), (_req, res) => void res.end())
    const onKoa = new Koa()
    onKoa.use((ctx, next) => {
      ctx.set(front)
      return next()
    })
    onKoa.use(koaDspinlock({ duplicates: 'reject', ttlMs: 60_000 }))
    onKoa.use(ctx => void (ctx.status = 200))
    for (const listener of [app, onKoa.callback()]) {
      const server = await serve(listener as RequestListener)
      const post = { method: 'POST', headers: { host: 'h' } }
      expect((await server.ask('/', post)).headers).to.include({ 'content-encoding': 'gzip', etag: '"1"' })
      const { status, headers, body } = await server.ask('/', post)
      expect(status).to.equal(409)
      expect(headers)
        .to.include({ 'x-kept': '1' })
        .and.not.have.any.keys('content-encoding', 'content-disposition', 'etag')
      expect(JSON.parse(body)).to.include({ code: 'settled' })
      await server.stop()
    }
  })

  it('onRefused ends a response that other code has only begun', async () => {
    const gate = new Gate()
    let runs = 0
    const guard = dspinlock({
      duplicates: 'reject',
      onRefused: ({ code }, _req, res) => res.end(`event: ${code}`), // compiles without `void`, as people write it
    })
    const begin: RequestHandler = (_req, res, next) => {
      res.type('text/event-stream').flushHeaders()
      next()
    }
    const app = express()
    app.get('/', begin, guard, (_req, res, next) => {
      runs++
      gate.opened.then(() => res.end('event: done'), next)
    })
    const server = await serve(app)
    const holder = server.ask('/')
    await until(() => runs === 1, 'it runs')
    expect((await server.ask('/')).body).to.equal('event: in-flight')
    gate.open()
    expect((await holder).body).to.equal('event: done')
    await guard.close()
    await server.stop()
  })

  it('a refused request whose response other code has begun is cut short, and does not hang', async () => {
    const gate = new Gate()
    let runs = 0
    const guard = dspinlock({ duplicates: 'reject' })
    const app = express()
    app.post(
      '/',
      (_req, res, next) => {
        res.write('still at work ')
        next()
      },
      guard,
      (_req, res, next) => {
        runs++
        gate.opened.then(() => res.end('done'), next)
      },
    )
    const server = await serve(app)
    const holder = server.ask('/', { method: 'POST' })
    await until(() => runs === 1, 'it runs')
    const refused = await server.ask('/', { method: 'POST' }).catch((error: unknown) => error)
    expect(refused).to.be.an('error').with.property('code', 'ECONNRESET')
    gate.open()
    expect((await holder).body).to.equal('still at work done')
    await guard.close()
    await server.stop()
  })

  it('a closed store is refused at start; closing it twice does nothing', () => {
    const store = memoryStore()
    void store.close()
    void store.close()
    expect(() => dspinlock({ store })).to.throw(TypeError, /open store/)
  })

  for (const onStoreError of ['bypass', 'local'] as const) {
    it(`onStoreError: '${onStoreError}' is for a store that fails: who waits too long, or is one too many, does not run`, async () => {
      const gate = new Gate()
      let runs = 0
      const guard = dspinlock({ onStoreError, waitMs: 100, maxWaitersPerKey: 1 })
      const app = express()
      app.get('/', guard, (_req, res, next) => {
        runs++
        gate.opened.then(() => res.send('done'), next)
      })
      const server = await serve(app)
      const holder = server.ask('/')
      await until(() => runs === 1, 'it runs')
      const waiting = server.ask('/')
      await until(() => guard.engine.waiters === 1, 'another one waits')
      const codes = (await Promise.all([server.ask('/'), waiting])).map(({ body }) => JSON.parse(body).code as string)
      expect([...codes, runs]).to.deep.equal(['too-many-waiters', 'waited-too-long', 1])
      gate.open()
      expect((await holder).body).to.equal('done')
      await guard.close()
      await server.stop()
    })
  }

  it('a request that waits too long gets 503 with Retry-After; closing refuses waiters and lets the holder finish', async () => {
    const gate = new Gate()
    let runs = 0
    const guard = dspinlock({ waitMs: 30 })
    const patient = dspinlock({})
    const app = express()
    app.get('/short', guard, (_req, res, next) => {
      runs++
      gate.opened.then(() => res.send('done'), next)
    })
    app.get('/patient', patient, (_req, res, next) => {
      runs++
      gate.opened.then(() => res.send('done'), next)
    })
    const server = await serve(app)
    const holder = server.ask('/short')
    await until(() => runs === 1, 'it runs')
    const refused = await server.ask('/short')
    expect([refused.status, refused.headers['retry-after']]).to.deep.equal([503, '1'])
    expect(JSON.parse(refused.body)).to.include({ code: 'waited-too-long', status: 503 })

    const second = server.ask('/patient')
    await until(() => runs === 2, 'it runs')
    const waiting = server.ask('/patient')
    await until(() => patient.engine.waiters === 1, 'one waits')
    const closing = patient.close()
    expect((await waiting).status).to.equal(503)
    expect((await server.ask('/patient')).status).to.equal(503)
    gate.open()
    expect([(await holder).status, (await second).status]).to.deep.equal([200, 200])
    await closing
    await guard.close()
    await server.stop()
  })
})
