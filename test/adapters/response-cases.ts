// A replay is what the first client got, on either store; a failure leaves no record.

import { Readable } from 'node:stream'
import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { isLasting } from '../support/lasting-headers.js'
import { redisUrl } from '../support/redis.js'
import type { AdapterSpec, Reply, RouteSpec, RunningApp } from './spec.js'

const stores: readonly [string, () => Store][] = [
  ['memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `adapters-${process.pid}` })],
]

const replies: Readonly<Record<string, () => Reply>> = {
  json: () => ({ status: 201, body: { a: [1, null, 'ü'] } }),
  list: () => ({ body: [] }),
  text: () => ({ body: 'täxt' }),
  'empty-text': () => ({ body: '' }),
  bytes: () => ({ body: Buffer.from([0, 1, 2, 250, 255]), headers: { 'content-type': 'application/octet-stream' } }),
  stream: () => ({
    body: Readable.from([Buffer.from('one '), Buffer.from('two')]),
    headers: { 'content-type': 'a/b' },
  }),
  'long-stream': () => ({
    body: Readable.from(Array.from({ length: 20 }, (_, n) => Buffer.alloc(30_000, n))),
    headers: { 'content-type': 'a/b', 'content-length': '600000' },
  }),
  nothing: () => ({ status: 204 }),
  'empty-200': () => ({ status: 200 }),
  headers: () => ({
    status: 203,
    headers: { 'X-Case': 'kept', link: ['<a>; rel=x', '<b>; rel=y'], 'content-language': 'de', vary: 'Accept' },
    body: 'x',
  }),
  missing: () => ({ status: 404, body: { missing: true } }),
  redirect: () => ({ status: 303, headers: { location: '/elsewhere' }, body: 'see there' }),
  cookie: () => ({ headers: { 'set-cookie': ['sid=secret'] }, body: 'with a cookie' }),
}

export function responseCases(adapter: AdapterSpec): void {
  for (const [storeName, makeStore] of stores) {
    describe(`responses on ${storeName}`, () => {
      let store: Store
      let app: RunningApp
      let runs = 0

      before(async () => {
        store = makeStore()
        const guard = { duplicates: 'replay', ttlMs: 60_000 } as const
        const route = (path: string, handle: () => Reply): RouteSpec => ({
          method: 'GET',
          path: `/${path}`,
          guard,
          handle: () => {
            runs++
            return handle()
          },
        })
        app = await adapter.start({
          store,
          outside: () => String(runs),
          routes: [
            ...Object.entries(replies).map(([path, make]) => route(path, make)),
            route('tagged', () => ({ headers: { etag: '"v1"' }, body: 'tagged' })),
            route('throws', () => {
              if (runs === 1) throw new Error('of the handler')
              return { body: 'well' }
            }),
            { ...route('kept', () => ({ status: 503, body: 'busy' })), guard: { ...guard, serverErrors: 'keep' } },
            {
              ...route('kept-throw', () => {
                throw new Error('kept')
              }),
              method: 'POST',
              guard: { ...guard, serverErrors: 'keep' },
            },
            { ...route('head', () => ({ body: 'of a GET' })), guard: { ...guard, headFromGet: true } },
            route('fails', () => (runs === 1 ? { status: 503, body: 'busy' } : { body: 'well' })),
            { ...route('large', () => ({ body: 'x'.repeat(2_000) })), guard: { ...guard, maxRecordBytes: 1_000 } },
            {
              ...route('large-stream', () => ({ body: Readable.from(['x'.repeat(600), 'x'.repeat(1_400)]) })),
              guard: { ...guard, maxRecordBytes: 1_000 },
            },
            {
              ...route('written', () => ({ body: 'x'.repeat(2_000) })),
              method: 'POST',
              guard: { ...guard, maxRecordBytes: 9 },
            },
          ],
        })
      })
      beforeEach(() => {
        runs = 0
      })
      after(async () => {
        await app.server.stop()
        await app.close()
        await store.close()
      })

      for (const path of Object.keys(replies)) {
        it(`${path}: replayed byte by byte`, async () => {
          // Sent by the same person each time, because some answers to nobody in particular are not shared.
          const ask = { headers: { authorization: 'Bearer somebody' } }
          const first = await app.server.ask(`/${path}`, ask)
          const second = await app.server.ask(`/${path}`, ask)
          expect(runs).to.equal(1)
          expect(second.status).to.equal(first.status)
          expect(second.bytes.equals(first.bytes)).to.equal(true)
          const { headers } = first
          const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => isLasting(name)))
          const replayed = Object.entries(second.headers).filter(([name]) => isLasting(name))
          expect(Object.fromEntries(replayed)).to.deep.equal(kept)
          expect([headers['x-outside'], second.headers['x-outside']]).to.deep.equal(['0', '1'])
          expect(second.headers['set-cookie']).to.equal(undefined)
          if (first.headers['content-length'] !== undefined) {
            expect(second.headers['content-length']).to.equal(first.headers['content-length'])
          }
        })
      }

      it("conditions are the follower's own; the holder answers in full", async () => {
        const first = await app.server.ask('/tagged', { headers: { 'if-none-match': '"v1"' } })
        expect([first.status, first.body]).to.deep.equal([200, 'tagged'])
        const same = await app.server.ask('/tagged', { headers: { 'if-none-match': '"v1"' } })
        expect([same.status, same.body, same.headers.etag]).to.deep.equal([304, '', '"v1"'])
        expect((await app.server.ask('/tagged', { headers: { 'if-none-match': '"v2"' } })).body).to.equal('tagged')
        expect(runs).to.equal(1)
      })

      it('what throws leaves nothing, and its own error is what the framework sees', async () => {
        const seen = app.errors.length
        const first = await app.server.ask('/throws')
        expect([first.status, first.body]).to.deep.equal([500, 'handled'])
        expect(app.errors.slice(seen)).to.deep.equal(['of the handler'])
        expect((await app.server.ask('/throws')).body).to.equal('well')
        expect(runs).to.equal(2)
      })

      it('a 5xx leaves nothing; who waited runs', async () => {
        const answers = await Promise.all([1, 2, 3].map(() => app.server.ask('/fails')))
        expect(answers.map(({ status }) => status).sort((a, b) => a - b)).to.deep.equal([200, 200, 503])
        expect(runs).to.equal(2)
      })

      it("with serverErrors: 'keep' a failure is not tried again", async () => {
        const [first, second] = [await app.server.ask('/kept'), await app.server.ask('/kept')]
        expect([first.status, second.status, second.body]).to.deep.equal([503, 503, 'busy'])
        expect((await app.server.ask('/kept-throw', { method: 'POST' })).status).to.equal(500)
        // The answer, if the adapter sees what the framework makes of the error; otherwise that the work is done.
        expect((await app.server.ask('/kept-throw', { method: 'POST' })).status).to.be.oneOf([500, 409])
        expect(runs).to.equal(2)
      })

      it('HEAD is answered from the record of a GET', async () => {
        const first = await app.server.ask('/head')
        const head = await app.server.ask('/head', { method: 'HEAD' })
        expect([head.status, head.body, runs]).to.deep.equal([200, '', 1])
        expect(head.headers['content-length']).to.equal(String(first.bytes.length))
        expect(head.headers['content-type']).to.equal(first.headers['content-type'])
      })

      for (const path of ['/large', '/large-stream']) {
        it(`${path.slice(1)}, over maxRecordBytes: arrives whole, and duplicates of a read run`, async () => {
          for (let n = 1; n <= 2; n++) {
            expect((await app.server.ask(path)).body).to.equal('x'.repeat(2_000))
            expect(runs).to.equal(n)
          }
        })
      }

      it('over maxRecordBytes, a write is not done twice', async () => {
        expect((await app.server.ask('/written', { method: 'POST' })).body).to.equal('x'.repeat(2_000))
        const second = await app.server.ask('/written', { method: 'POST' })
        expect([second.status, runs]).to.deep.equal([409, 1])
        expect(JSON.parse(second.body)).to.include({ code: 'not-kept' })
      })
    })
  }
}
