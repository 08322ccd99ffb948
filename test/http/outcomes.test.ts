// What is published about each request: its outcome, its route, and the source of a replay.

import { randomUUID } from 'node:crypto'
import { type EnterTrace, type HoldTrace, LockEngine, memoryStore, tracing } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { type ReplayTrace, type RequestTrace, requestTracing } from '@dspinlock/http'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express, { type Express, type Request, type Response } from 'express'
import { storeWith } from '../support/engine.js'
import { Gate, json, serve, type TestServer, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { hear } from '../support/tracing.js'

describe('outcomes of requests', () => {
  let server: TestServer | undefined
  let ear: ReturnType<typeof hear<RequestTrace>>

  beforeEach(() => {
    ear = hear({ request: requestTracing.request })
  })
  afterEach(async () => {
    ear.stop()
    await server?.stop()
    server = undefined
  })

  const ends = (): RequestTrace[] =>
    ear.heard.filter(({ on }) => on === 'request asyncEnd').map(({ message }) => message)
  const outcomes = (): (string | undefined)[] => ends().map(({ outcome, code }) => code ?? outcome)
  const answer = (_req: Request, res: Response): void => void res.send('done')
  const start = async (app: Express): Promise<TestServer> => {
    server = await serve(app)
    return server
  }

  it('run, then replayed, each with method and route', async () => {
    const app = express()
    app.get('/reports/:id', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), answer)
    const here = await start(app)
    await here.ask('/reports/1')
    await here.ask('/reports/1')
    expect(outcomes()).to.deep.equal(['run', 'replayed'])
    for (const end of ends()) expect(end).to.include({ method: 'GET', route: '/reports/:id', error: undefined })
    expect(ear.heard[0]?.on).to.equal('request start')
    expect(ear.heard[0]?.message).to.equal(ends()[0])
  })

  it('a router that is reached by several paths: no names of the client’s for ever, and no more routes than mounts', async () => {
    const router = express.Router().get('/x', dspinlock(), answer)
    const app = express().use('/t', router).use('/t/:tenant', router)
    const here = await start(app)
    for (const tenant of ['ann', 'ben', 'cem', 'dan']) {
      await here.ask('/t/x')
      await here.ask(`/t/${tenant}/x`)
    }
    // The first tenant's name is not yet known to be a parameter.
    expect(new Set(ends().map(({ route }) => route))).to.deep.equal(new Set(['/t/x', '/t/ann/x', '/t/*/x']))
  })

  it('a router behind a wildcard: not one route for each depth that a client makes up', async () => {
    const router = express.Router().get('/', dspinlock(), answer)
    const here = await start(express().use('/w/*any', router))
    for (const depth of [20, 40, 80]) await here.ask(`/w${'/a1'.repeat(depth)}`)
    expect(new Set(ends().map(({ route }) => route)).size).to.equal(1)
  })

  it('collapsed: it got the answer it had waited for', async () => {
    const gate = new Gate()
    const lock = dspinlock({ duplicates: 'replay' })
    const app = express()
    app.get('/', lock, (req, res) => void gate.opened.then(() => answer(req, res)))
    const here = await start(app)
    const first = here.ask('/')
    await until(() => outcomes().length === 1, 'the first runs')
    const second = here.ask('/')
    await until(() => lock.engine.waiters === 1, 'the second waits')
    gate.open()
    await Promise.all([first, second])
    expect(outcomes()).to.deep.equal(['run', 'collapsed'])
  })

  it('refused, with its code', async () => {
    const gate = new Gate()
    const app = express()
    app.post('/pay', dspinlock({ duplicates: 'reject' }), (req, res) => void gate.opened.then(() => answer(req, res)))
    app.post('/keyed', dspinlock({ idempotencyKey: 'required' }), answer)
    app.post(
      '/own',
      dspinlock({ idempotencyKey: 'required', onRefused: (_problem, _req, res) => void res.end() }),
      answer,
    )
    const here = await start(app)
    const first = here.ask('/pay', json({}))
    await until(() => outcomes().length === 1, 'the first runs')
    await here.ask('/pay', json({}))
    gate.open()
    await first
    await here.ask('/keyed', json({}))
    await here.ask('/own', json({}))
    expect(outcomes()).to.deep.equal(['run', 'in-flight', 'key-missing', 'key-missing'])
    expect(ends().map(({ outcome }) => outcome)).to.deep.equal(['run', 'refused', 'refused', 'refused'])
  })

  it('passed: an earlier response could not be replayed', async () => {
    const app = express()
    app.get('/', dspinlock({ duplicates: 'replay', ttlMs: 60_000, maxRecordBytes: 1 }), answer)
    const here = await start(app)
    await here.ask('/')
    await here.ask('/')
    expect(outcomes()).to.deep.equal(['run', 'passed'])
  })

  it('bypassed, local or refused where the store fails', async () => {
    const down = (): never => {
      throw new Error('down')
    }
    const app = express()
    for (const onStoreError of ['bypass', 'local', 'reject'] as const) {
      const store = storeWith({ claim: down })
      app.get(`/${onStoreError}`, dspinlock({ store, onStoreError, duplicates: 'replay', ttlMs: 60_000 }), answer)
    }
    const here = await start(app)
    for (const path of ['/bypass', '/local', '/local', '/reject']) await here.ask(path)
    expect(outcomes()).to.deep.equal(['bypassed', 'local', 'replayed', 'unavailable'])
  })

  it('unguarded, and failed', async () => {
    const error = new Error('no')
    const app = express()
    app.get('/skip', dspinlock({ skip: () => true }), answer)
    app.get('/key', dspinlock({ key: () => undefined }), answer)
    app.get('/identity', dspinlock({ identity: () => Promise.reject(error) }), answer)
    app.use((_error: unknown, _req: Request, res: Response, _next: unknown) => void res.status(500).end())
    const here = await start(app)
    for (const path of ['/skip', '/key', '/identity']) await here.ask(path)
    expect(outcomes()).to.deep.equal(['unguarded', 'unguarded', 'failed'])
    expect(ends()[2]?.error).to.equal(error)
  })

  it('gone: the client left while it waited, or while its body arrived', async () => {
    const gate = new Gate()
    const lock = dspinlock()
    const app = express()
    app.post('/', lock, (req, res) => void gate.opened.then(() => answer(req, res)))
    const here = await start(app)
    const first = here.ask('/', { method: 'POST', headers: { host: 'h' } })
    await until(() => outcomes().length === 1, 'the first runs')
    const socket = await here.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
    await until(() => lock.engine.waiters === 1, 'the second waits')
    socket.destroy()
    await until(() => outcomes().length === 2, 'the second is gone')
    const half = await here.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nha')
    await until(() => ear.names().filter(on => on === 'request start').length === 3, 'the third one is read')
    half.destroy()
    await until(() => outcomes().length === 3, 'the third is gone')
    gate.open()
    await first
    expect(outcomes()).to.deep.equal(['run', 'gone', 'gone'])
  })

  it('nothing is made while nobody listens, not even for requests that end later', async () => {
    ear.stop()
    const app = express()
    app.get('/', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), answer)
    const here = await start(app)
    await here.ask('/')
    expect(ear.heard).to.deep.equal([])
  })

  it('the engine is told the route, so that its holds have it', async () => {
    const holds = hear<HoldTrace>({ hold: tracing.hold })
    const app = express()
    app.get('/orders/:id', dspinlock(), answer)
    const here = await start(app)
    await here.ask('/orders/7')
    holds.stop()
    expect(holds.heard.map(({ message }) => message.label)).to.deep.equal(Array(4).fill('/orders/:id'))
  })
})

describe('replays, traced', () => {
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
  /** Sets a traceparent, as a tracer does. */
  const mark = (hold: unknown): void => {
    ;(hold as HoldTrace).traceparent = traceparent
  }
  const apps: TestServer[] = []

  afterEach(async () => {
    tracing.hold.start.unsubscribe(mark)
    for (const one of apps.splice(0)) await one.stop()
  })

  it('in one process they know their holder', async () => {
    const ear = hear<ReplayTrace | HoldTrace | EnterTrace>({
      replay: requestTracing.replay,
      hold: tracing.hold,
      enter: tracing.enter,
    } as never)
    const app = express()
    app.get(
      '/',
      dspinlock({ duplicates: 'replay', ttlMs: 60_000, maxRequestsPerIdentity: 9 }),
      (_req, res) => void res.send('done'),
    )
    const server = await serve(app)
    apps.push(server)
    await server.ask('/')
    await server.ask('/')
    ear.stop()
    const find = (name: string) => ear.heard.filter(({ on }) => on === name).map(({ message }) => message)
    const [holder] = find('hold start') as HoldTrace[]
    const [replay] = find('replay asyncEnd') as ReplayTrace[]
    expect(replay?.holder).to.equal(holder)
    expect(replay).to.include({ joined: false, traceparent: undefined, recordBytes: holder?.recordBytes })
    expect(replay?.request).to.include({ outcome: 'replayed' })
    expect((find('enter asyncEnd')[1] as EnterTrace).holder).to.equal(holder)
  })

  for (const sealed of [false, true]) {
    it(`across processes the record says where the holder's span is${sealed ? ', also if it is encrypted' : ''}`, async () => {
      tracing.hold.start.subscribe(mark)
      const ear = hear({ replay: requestTracing.replay })
      const prefix = randomUUID()
      const stores = [redisStore(redisUrl(), { prefix }), redisStore(redisUrl(), { prefix })]
      for (const store of stores) {
        const app = express()
        const encryption = sealed ? { encryptionKeys: [Buffer.alloc(32, 1)] } : {}
        const lock = dspinlock({
          engine: new LockEngine({ store }),
          duplicates: 'replay',
          ttlMs: 60_000,
          maxRequestsPerIdentity: 9,
          ...encryption,
        })
        app.get('/', lock, (_req, res) => void res.send('done'))
        apps.push(await serve(app))
      }
      const headers = { host: 'h' }
      for (const server of apps) await server.ask('/', { headers })
      ear.stop()
      for (const store of stores) await store.close()
      expect(ear.heard.at(-1)?.message).to.include({ traceparent, holder: undefined, joined: false })
    })
  }

  it('without a tracer, a record says nothing of the kind', async () => {
    const store = memoryStore()
    const app = express()
    app.get('/', dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => void res.send('done'))
    const server = await serve(app)
    apps.push(server)
    const ear = hear({ replay: requestTracing.replay })
    await server.ask('/')
    await server.ask('/')
    ear.stop()
    expect(ear.heard.at(-1)?.message).to.include({ traceparent: undefined })
  })
})
