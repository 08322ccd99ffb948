// Streams flow as they would without dspinlock, and the hold ends with them.

import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { PassThrough } from 'node:stream'
import { dspinlock } from '@dspinlock/koa'
import { expect } from 'chai'
import Koa3 from 'koa'
import { Gate, type TestServer, until } from '../support/http.js'
import { koas, serveKoa } from '../support/koa.js'
import { slowStore } from '../support/slow-store.js'

for (const { name, Koa } of koas) {
  describe(`streams on ${name}`, () => {
    const slow = slowStore()
    const guard = dspinlock({ methods: ['GET', 'POST'], duplicates: 'replay', ttlMs: 60_000 })
    const patient = dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000, store: slow.store })
    const hasty = dspinlock({ methods: ['GET'], duplicates: 'replay', settleTimeoutMs: 20, store: slow.store })
    let server: TestServer
    let bodies: PassThrough[] = []
    let errors: string[] = []
    let gate = new Gate()

    before(async () => {
      const app = new Koa()
      app.on('error', (error: Error) => errors.push(error.message))
      app.use(async (ctx, next) => {
        await next()
        if (ctx.path === '/aside') ctx.body = 'something else'
        if (ctx.path === '/rows') ctx.body = (ctx.body as PassThrough).map(row => `${JSON.stringify(row)}\n`)
        if (ctx.path.endsWith('/awaited')) await gate.opened
        // Like koa-etag, which makes the tag from the file's size and time.
        const { path } = (ctx.body ?? {}) as { path?: unknown }
        if (typeof path === 'string') ctx.set('X-Path', path)
      })
      app.use((ctx, next) =>
        ctx.path.startsWith('/bare')
          ? next()
          : (ctx.path === '/patient' ? patient : ctx.path === '/hasty' ? hasty : guard)(ctx, next),
      )
      app.use(ctx => {
        if (ctx.path.endsWith('/file')) {
          ctx.body = createReadStream(import.meta.filename)
          return
        }
        const body = new PassThrough({ objectMode: ctx.path === '/rows' })
        bodies.push(body)
        if (ctx.path === '/trailed') body.once('end', () => ctx.res.addTrailers({ 'X-Sum': '10' }))
        ctx.body = body
        if (ctx.query['length'] !== undefined) ctx.length = Number(ctx.query['length'])
      })
      server = await serveKoa(app)
    })
    beforeEach(() => {
      bodies = []
      errors = []
      gate = new Gate()
      slow.shut()
    })
    after(async () => {
      slow.open()
      await server.stop()
    })

    const begin = async (path: string, method = 'GET'): Promise<IncomingMessage> => {
      const outgoing = request({ host: '127.0.0.1', port: server.port, path, method })
      outgoing.end()
      await until(() => bodies.length > 0, 'it runs')
      bodies[0]?.write('first ')
      const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage]
      return incoming
    }
    /** What has arrived so far. */
    const listen = (incoming: IncomingMessage): { text: string; ended: boolean } => {
      const seen = { text: '', ended: false }
      incoming.on('data', chunk => {
        seen.text += String(chunk)
      })
      incoming.on('end', () => {
        seen.ended = true
      })
      incoming.on('error', () => {})
      return seen
    }

    it('the first chunk arrives before there is a second; a duplicate waits for the end and gets all', async () => {
      const seen = listen(await begin('/flows'))
      await until(() => seen.text === 'first ', 'the first chunk arrives')
      const duplicate = server.ask('/flows')
      await until(() => guard.engine.waiters === 1, 'a duplicate waits')
      bodies[0]?.end('last')
      const answer = await duplicate
      expect([answer.body, answer.headers['cache-status']]).to.deep.equal(['first last', 'dspinlock; collapsed'])
      await until(() => seen.ended, 'the first client has it all')
      expect([seen.text, bodies.length, errors]).to.deep.equal(['first last', 1, []])
    })

    it('a slow reader slows the source down', async () => {
      const incoming = await begin('/slowly')
      const [body] = bodies
      let written = 0
      const chunk = Buffer.alloc(65_536)
      const limit = 64 * 1_024 * 1_024
      // If nobody reads, a write waits for room for ever; without back-pressure, the loop would reach its limit.
      while (written < limit) {
        const hasRoom = body?.write(chunk) ?? false
        written += chunk.length
        if (!hasRoom) {
          const drained = new Promise(resolve => body?.once('drain', () => resolve(true)))
          if (!(await Promise.race([drained, new Promise(resolve => setTimeout(() => resolve(false), 100))]))) break
        }
      }
      expect(written).to.be.below(limit)
      incoming.resume()
      body?.end()
      await once(incoming, 'end')
    })

    for (const [what, query] of [
      ['the end', ''],
      ['the last byte of a known length', '?length=10'],
    ]) {
      it(`${what} waits for the store, all before it does not`, async () => {
        const seen = listen(await begin(`/patient${query}`))
        const before = slow.ends()
        bodies[0]?.write('la')
        bodies[0]?.end('st')
        await until(() => slow.ends() === before + 1, 'the hold is about to end')
        await until(() => seen.text.startsWith('first la'), 'the rest arrives')
        await new Promise(resolve => setTimeout(resolve, 20))
        expect(seen.ended).to.equal(false)
        expect(seen.text).to.equal(query === '' ? 'first last' : 'first la')
        slow.open()
        await until(() => seen.ended, 'it ends')
        expect(seen.text).to.equal('first last')
        expect((await server.ask(`/patient${query}`)).headers['cache-status']).to.equal('dspinlock; hit')
      })
    }

    it('at most settleTimeoutMs', async () => {
      const seen = listen(await begin('/hasty'))
      bodies[0]?.end('last')
      await until(() => seen.ended, 'it ends without the store')
      expect(seen.text).to.equal('first last')
    })

    it('a source that fails is reported as without us; duplicates of a read run', async () => {
      const bare = listen(await begin('/bare'))
      await until(() => bare.text === 'first ', 'the first chunk arrives')
      bodies[0]?.destroy(new Error('of the source'))
      await until(() => errors.length > 0, 'it is reported')
      // Koa 3 reports the error again when the socket closes.
      await new Promise(resolve => setTimeout(resolve, 20))
      const expected = errors
      bodies = []
      errors = []

      const seen = listen(await begin('/fails'))
      await until(() => seen.text === 'first ', 'the first chunk arrives')
      const duplicate = server.ask('/fails')
      await until(() => guard.engine.waiters === 1, 'a duplicate waits')
      bodies[0]?.destroy(new Error('of the source'))
      await until(() => bodies.length === 2, 'the duplicate runs')
      bodies[1]?.end('well')
      expect((await duplicate).body).to.equal('well')
      await new Promise(resolve => setTimeout(resolve, 20))
      expect(errors).to.deep.equal(expected)
    })

    it('a source that fails before anything was sent is answered and reported as without us', async () => {
      const outcomes: unknown[] = []
      for (const path of ['/bare', '/early']) {
        bodies = []
        errors = []
        const answer = server.ask(path).then(
          ({ status, body }) => `${status} ${body}`,
          (error: Error) => error.message,
        )
        await until(() => bodies.length === 1, 'it runs')
        bodies[0]?.destroy(new Error('early'))
        const said = await answer
        // Koa 3 reports the error again when the socket closes, which may be after the client has noticed.
        await new Promise(resolve => setTimeout(resolve, 20))
        outcomes.push([said, errors])
      }
      expect(outcomes[1]).to.deep.equal(outcomes[0])
      expect(guard.engine.keys).to.equal(0)
    })

    it('a source that fails before what is outside is done is answered and reported as without us', async () => {
      const outcomes: unknown[] = []
      for (const path of ['/bare/awaited', '/awaited']) {
        bodies = []
        errors = []
        gate = new Gate()
        const answer = server.ask(path).then(
          ({ status, body }) => `${status} ${body}`,
          (error: Error) => error.message,
        )
        await until(() => bodies.length === 1, 'it runs')
        bodies[0]?.destroy(new Error('early'))
        await until(() => bodies[0]?.closed === true, 'it failed')
        gate.open()
        const said = await answer
        await new Promise(resolve => setTimeout(resolve, 20))
        outcomes.push([said, [...new Set(errors)]])
      }
      expect(outcomes[1]).to.deep.equal(outcomes[0])
      expect(guard.engine.keys).to.equal(0)
    })

    it('one of objects, which something outside renders, is not replayed', async () => {
      for (let n = 1; n <= 2; n++) {
        bodies = []
        const answer = server.ask('/rows')
        await until(() => bodies.length === 1, 'it runs')
        bodies[0]?.write({ n })
        bodies[0]?.end({ last: true })
        expect((await answer).body).to.equal(`{"n":${n}}\n{"last":true}\n`)
      }
    })

    it('a client that leaves mid-stream: the source is destroyed as without us, and a write is not done twice', async () => {
      const incoming = await begin('/left', 'POST')
      const duplicate = server.ask('/left', { method: 'POST' })
      await until(() => guard.engine.waiters === 1, 'a duplicate waits')
      incoming.destroy()
      await until(() => bodies[0]?.destroyed === true, 'the source is destroyed')
      const answer = await duplicate
      expect([answer.status, bodies.length]).to.deep.equal([409, 1])
      expect(JSON.parse(answer.body)).to.include({ code: 'not-kept' })
    })

    it('one with trailers is not replayed', async () => {
      for (let n = 0; n < 2; n++) {
        bodies = []
        const incoming = await begin('/trailed')
        bodies[0]?.end('last')
        incoming.resume()
        await once(incoming, 'end')
        expect(incoming.trailers).to.deep.equal({ 'x-sum': '10' })
      }
    })

    it('what is outside finds the path of a file that is streamed', async () => {
      const [bare, guarded] = [await server.ask('/bare/file'), await server.ask('/file')]
      expect(bare.headers['x-path']).to.equal(import.meta.filename)
      expect([guarded.headers['x-path'], guarded.body]).to.deep.equal([bare.headers['x-path'], bare.body])
    })

    it('a stream that is put aside outside ends the hold with the response', async () => {
      expect((await server.ask('/aside')).body).to.equal('something else')
      await until(() => guard.engine.keys === 0, 'the hold ended')
    })
  })
}

describe('web streams on Koa 3', () => {
  const slow = slowStore()
  const guard = dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000 })
  const patient = dspinlock({ methods: ['GET'], duplicates: 'replay', ttlMs: 60_000, store: slow.store })
  let server: TestServer
  let sources: { controller: ReadableStreamDefaultController<Uint8Array>; cancelled: boolean }[] = []
  let gate = new Gate()

  before(async () => {
    const app = new Koa3()
    app.silent = true
    app.use(async (ctx, next) => {
      await next()
      if (ctx.path === '/cancelled') await (ctx.body as ReadableStream).cancel()
      if (ctx.path === '/aside' || ctx.path === '/cancelled') ctx.body = 'something else'
    })
    app.use((ctx, next) => (ctx.path === '/never' ? new Promise(() => {}) : next()))
    app.use((ctx, next) => (ctx.path === '/patient' ? patient : guard)(ctx, next))
    app.use(async ctx => {
      const number = sources.length
      ctx.body = new ReadableStream<Uint8Array>({
        start: controller => {
          sources.push({ controller, cancelled: false })
        },
        cancel: () => {
          const source = sources[number]
          if (source !== undefined) source.cancelled = true
        },
      })
      await gate.opened
    })
    server = await serveKoa(app)
  })
  beforeEach(() => {
    sources = []
    gate = new Gate()
  })
  after(() => server.stop())

  const write = (n: number, text: string): void => sources[n]?.controller.enqueue(Buffer.from(text))

  it('the first chunk arrives before there is a second; a duplicate waits for the end', async () => {
    gate.open()
    const socket = await server.dial('GET /flows HTTP/1.1\r\nHost: h\r\n\r\n')
    let seen = ''
    socket.on('data', chunk => {
      seen += String(chunk)
    })
    await until(() => sources.length === 1, 'it runs')
    write(0, 'first ')
    await until(() => seen.includes('first '), 'the first chunk arrives')
    const duplicate = server.ask('/flows', { headers: { host: 'h' } })
    await until(() => guard.engine.waiters === 1, 'a duplicate waits')
    write(0, 'last')
    sources[0]?.controller.close()
    expect((await duplicate).body).to.equal('first last')
    expect(sources).to.have.length(1)
    socket.destroy()
  })

  it('the end waits for the store', async () => {
    gate.open()
    const answer = server.ask('/patient')
    let ended = false
    void answer.then(() => {
      ended = true
    })
    await until(() => sources.length === 1, 'it runs')
    write(0, 'all')
    sources[0]?.controller.close()
    await until(() => slow.ends() === 1, 'the hold is about to end')
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(ended).to.equal(false)
    slow.open()
    expect((await answer).body).to.equal('all')
    expect((await server.ask('/patient')).headers['cache-status']).to.equal('dspinlock; hit')
  })

  it('put aside outside, it ends the hold with the response', async () => {
    gate.open()
    expect((await server.ask('/aside')).body).to.equal('something else')
    await until(() => guard.engine.keys === 0, 'the hold ended')
  })

  it('cancelled outside, its source is cancelled', async () => {
    gate.open()
    expect((await server.ask('/cancelled')).body).to.equal('something else')
    expect(sources[0]?.cancelled).to.equal(true)
    await until(() => guard.engine.keys === 0, 'the hold ended')
  })

  for (const [when, opensFirst] of [
    ['mid-stream', true],
    ['before the first byte', false],
  ] as const) {
    it(`its client leaves ${when}: a waiter runs`, async () => {
      if (opensFirst) gate.open()
      const path = `/${when.replaceAll(' ', '-')}`
      const socket = await server.dial(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
      await until(() => sources.length === 1, 'it runs')
      if (opensFirst) {
        write(0, 'first ')
        await once(socket, 'data')
      }
      const duplicate = server.ask(path, { headers: { host: 'h' } })
      await until(() => guard.engine.waiters === 1, 'a duplicate waits')
      const left = server.left()
      socket.destroy()
      await left
      // The response tells of its end a little later than the connection.
      await new Promise(resolve => setImmediate(resolve))
      gate.open()
      await until(() => sources.length === 2, 'the duplicate runs')
      if (opensFirst) expect(sources[0]?.cancelled).to.equal(true)
      write(1, 'well')
      sources[1]?.controller.close()
      expect((await duplicate).body).to.equal('well')
    })
  }

  it('its client leaves while it waits behind another answer: a waiter runs', async () => {
    gate.open()
    const socket = await server.dial('GET /never HTTP/1.1\r\nHost: h\r\n\r\nGET /behind HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => sources.length === 1, 'it runs')
    write(0, 'first ')
    const duplicate = server.ask('/behind', { headers: { host: 'h' } })
    await until(() => guard.engine.waiters === 1, 'a duplicate waits')
    socket.destroy()
    await until(() => sources.length === 2, 'the duplicate runs')
    expect(sources[0]?.cancelled).to.equal(true)
    write(1, 'well')
    sources[1]?.controller.close()
    expect((await duplicate).body).to.equal('well')
  })

  it('a source that fails breaks the response off and ends the hold', async () => {
    gate.open()
    const socket = await server.dial('GET /fails HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => sources.length === 1, 'it runs')
    write(0, 'first ')
    await once(socket, 'data')
    const closed = once(socket, 'close')
    sources[0]?.controller.error(new Error('of the source'))
    await closed
    expect(guard.engine.keys).to.equal(0)
  })
})
