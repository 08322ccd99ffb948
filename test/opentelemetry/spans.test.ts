// Spans with the real SDK: which there are, their parents, and that a duplicate links to its holder.

import { randomUUID } from 'node:crypto'
import { HoldTimeoutError, LockEngine, memoryStore, tracing } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { instrumentDspinlock } from '@dspinlock/opentelemetry'
import { redisStore } from '@dspinlock/redis'
import { context, type Span, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AlwaysOffSampler,
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { expect } from 'chai'
import express, { type RequestHandler } from 'express'
import { holdOf, storeWith } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { Gate, serve, type TestServer, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

describe('spans', () => {
  const exporter = new InMemorySpanExporter()
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const tracer = provider.getTracer('test')
  let stop: () => void
  let servers: TestServer[] = []

  before(() => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  })
  after(() => context.disable())
  beforeEach(() => {
    exporter.reset()
    stop = instrumentDspinlock({ tracerProvider: provider, meterProvider: false })
  })
  afterEach(async () => {
    stop()
    for (const server of servers.splice(0)) await server.stop()
    servers = []
  })

  const spans = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter(span => span.name === name)
  const only = (name: string): ReadableSpan => {
    const found = spans(name)
    expect(found, name).to.have.length(1)
    return found[0] as ReadableSpan
  }
  const parentOf = (span: ReadableSpan | undefined): string | undefined => span?.parentSpanContext?.spanId
  const idOf = (span: ReadableSpan | Span | undefined): string | undefined => span?.spanContext().spanId
  const linksOf = (span: ReadableSpan | undefined): (string | undefined)[] =>
    (span?.links ?? []).map(({ context: to }) => to.spanId)
  /** Like instrumentation of Node's http: each request is in a span of its own. */
  const inSpan =
    (of: Span[]): RequestHandler =>
    (_req, _res, next) => {
      const span = tracer.startSpan('request')
      of.push(span)
      context.with(trace.setSpan(context.active(), span), next)
    }

  it('of work without HTTP: enter and hold under the caller, settle under the hold', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const caller = tracer.startSpan('caller')
    await context.with(trace.setSpan(context.active(), caller), () =>
      engine.run('k', () => 'x', { duplicates: 'replay', ttlMs: 1_000, label: 'reports' }),
    )
    await engine.run('k', () => 'x', { duplicates: 'replay', ttlMs: 1_000 })
    const [enter, follower] = spans('dspinlock.enter')
    const hold = only('dspinlock.hold')
    const settle = only('dspinlock.settle')
    expect([parentOf(enter), parentOf(hold)]).to.deep.equal([idOf(caller), idOf(caller)])
    expect(parentOf(settle)).to.equal(idOf(hold))
    expect(enter?.attributes).to.deep.equal({
      'dspinlock.duplicates': 'replay',
      'dspinlock.route': 'reports',
      'dspinlock.role': 'holder',
      'dspinlock.waited': false,
    })
    expect(hold.attributes).to.include({
      'dspinlock.route': 'reports',
      'dspinlock.how': 'settled',
      'dspinlock.record.size': 3,
    })
    expect(settle.attributes).to.deep.equal({
      'dspinlock.route': 'reports',
      'dspinlock.how': 'settled',
      'dspinlock.record.size': 3,
    })
    expect(follower?.attributes).to.include({ 'dspinlock.role': 'follower' })
    expect(linksOf(follower)).to.deep.equal([idOf(hold)])
    expect(spans('dspinlock.wait')).to.have.length(0)
    await engine.close()
  })

  for (const [kind, makeStore] of [
    ['memory', () => memoryStore()],
    ['Redis', () => redisStore(redisUrl(), { prefix: randomUUID() })],
  ] as const) {
    it(`of requests on ${kind}: a duplicate waits, is answered, and points at the hold it waited for`, async () => {
      const store = makeStore()
      const requests: Span[] = []
      const gate = new Gate()
      const lock = dspinlock({ store, duplicates: 'replay' })
      const app = express()
      let runs = 0
      app.get('/reports/:id', inSpan(requests), lock, (_req, res) => {
        runs++
        void gate.opened.then(() => res.send('done'))
      })
      const server = await serve(app)
      servers.push(server)
      const headers = { host: 'h' }
      const first = server.ask('/reports/1', { headers })
      await until(() => runs === 1, 'the first runs')
      const second = server.ask('/reports/1', { headers })
      await until(() => lock.engine.waiters === 1, 'the second waits')
      gate.open()
      await Promise.all([first, second])
      await until(() => spans('dspinlock.hold').length === 1, 'the hold ended')
      await store.close()

      const [holder, duplicate] = requests
      const hold = only('dspinlock.hold')
      const wait = only('dspinlock.wait')
      const replay = only('dspinlock.replay')
      const enters = spans('dspinlock.enter')
      const [waited] = enters.filter(span => span.attributes['dspinlock.waited'] === true)
      expect(enters).to.have.length(2)
      expect(parentOf(hold)).to.equal(idOf(holder))
      expect(parentOf(waited)).to.equal(idOf(duplicate))
      expect(parentOf(wait)).to.equal(idOf(waited))
      expect(parentOf(replay)).to.equal(idOf(duplicate))
      expect(linksOf(replay)).to.deep.equal([idOf(hold)])
      expect(replay.attributes).to.include({ 'dspinlock.outcome': 'collapsed', 'dspinlock.route': '/reports/:id' })
      expect(linksOf(waited)).to.deep.equal([idOf(hold)])
    })
  }

  it('of another process: the record says which hold it was', async () => {
    const prefix = randomUUID()
    const stores = [redisStore(redisUrl(), { prefix }), redisStore(redisUrl(), { prefix })]
    for (const store of stores) {
      const app = express()
      app.get('/', dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => void res.send('done'))
      servers.push(await serve(app))
    }
    for (const server of servers) await server.ask('/', { headers: { host: 'h' } })
    for (const store of stores) await store.close()
    const hold = only('dspinlock.hold')
    const [link] = only('dspinlock.replay').links
    expect(link?.context).to.include({ traceId: hold.spanContext().traceId, spanId: idOf(hold), isRemote: true })
  })

  it('nothing that is not sampled is pointed at', async () => {
    stop()
    const off = new BasicTracerProvider({ sampler: new AlwaysOffSampler() })
    const stopOff = instrumentDspinlock({ tracerProvider: off, meterProvider: false })
    const store = memoryStore()
    const engine = new LockEngine({ store })
    const app = express()
    app.get('/', dspinlock({ engine, duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => void res.send('done'))
    const server = await serve(app)
    servers.push(server)
    await server.ask('/')
    stopOff()
    stop = instrumentDspinlock({ tracerProvider: provider, meterProvider: false })
    const { status } = await server.ask('/')
    expect(status).to.equal(200)
    expect(only('dspinlock.replay').links).to.deep.equal([])
  })

  it('of what fails: a code, and never the key', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('secret key', { maxHoldMs: 5 }))
    await failure(engine.enter('secret key', { waitMs: 1 }))
    await failure(engine.enter('secret key', { signal: AbortSignal.timeout(1) }))
    await until(() => hold.signal.aborted, 'the hold timed out')
    expect(hold.signal.reason).to.be.instanceOf(HoldTimeoutError)
    const broken = new LockEngine({
      store: storeWith({
        settle: () => {
          throw new Error('secret key')
        },
      }),
    })
    const doomed = holdOf(await broken.enter('secret key', { duplicates: 'replay' }))
    await failure((async () => doomed.settle(Uint8Array.of(1)))())

    const told = (name: string) =>
      spans(name).map(({ status, attributes }) => [status.code, attributes['error.type'], status.message])
    expect(told('dspinlock.enter')).to.have.deep.members([
      [SpanStatusCode.UNSET, undefined, undefined],
      [SpanStatusCode.ERROR, 'ERR_DSPINLOCK_WAIT_TIMEOUT', undefined],
      [SpanStatusCode.UNSET, 'TimeoutError', undefined],
      [SpanStatusCode.UNSET, undefined, undefined],
    ])
    expect(told('dspinlock.hold')).to.have.deep.members([
      [SpanStatusCode.ERROR, 'ERR_DSPINLOCK_HOLD_TIMEOUT', undefined],
      [SpanStatusCode.ERROR, 'ERR_DSPINLOCK_STORE', undefined],
    ])
    const all = exporter
      .getFinishedSpans()
      .map(({ name, attributes, events, status }) => ({ name, attributes, events, status }))
    expect(JSON.stringify(all)).to.not.include('secret')
  })

  it('of a call that was refused: why', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await engine.enter('k'))
    await engine.enter('k', { duplicates: 'reject' })
    await hold.release()
    expect(spans('dspinlock.enter').map(({ attributes }) => attributes['dspinlock.reason'])).to.deep.equal([
      undefined,
      'in-flight',
    ])
  })

  it('of a hold whose loss is found at its end', async () => {
    const engine = new LockEngine({ store: storeWith({ release: () => ({ mine: false }) }) })
    await holdOf(await engine.enter('k')).release()
    for (const name of ['dspinlock.hold', 'dspinlock.settle']) {
      const { status, attributes } = only(name)
      expect([name, status.code, attributes['dspinlock.how']]).to.deep.equal([name, SpanStatusCode.ERROR, 'lost'])
    }
  })

  it('no more once it was stopped, and what has begun ends when it ends', async () => {
    const before = new LockEngine({ store: memoryStore() })
    const hold = holdOf(await before.enter('k'))
    exporter.reset()
    stop()
    await hold.release()
    expect(exporter.getFinishedSpans().map(({ name }) => name)).to.deep.equal(['dspinlock.hold'])
    exporter.reset()
    const engine = new LockEngine({ store: memoryStore() })
    await engine.run('k', () => 'x')
    expect(exporter.getFinishedSpans()).to.deep.equal([])
  })

  it('with neither provider, nothing listens', () => {
    stop()
    const stopNothing = instrumentDspinlock({ tracerProvider: false, meterProvider: false })
    expect(tracing.hold.hasSubscribers).to.equal(false)
    stopNothing()
  })

  it('wrong options throw at once', () => {
    for (const [wrong, named] of [
      [5, '5'],
      [null, 'null'],
      [{}, 'an object'],
    ] as const) {
      expect(() => instrumentDspinlock({ tracerProvider: wrong as never })).to.throw(
        TypeError,
        `dspinlock: option tracerProvider must be an object with getTracer(), or false, but received ${named}`,
      )
    }
    expect(() => instrumentDspinlock({ tracer: provider } as never)).to.throw(TypeError, 'unknown option "tracer"')
  })
})
