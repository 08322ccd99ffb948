// Who is asking, for what, and with which body: what makes requests different, and bodies that the handler still gets.

import { memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { type Ask, json } from '../support/http.js'
import type { AdapterSpec, RouteSpec, RunningApp } from './spec.js'

export function requestCases(adapter: AdapterSpec): void {
  describe('requests', () => {
    const store = memoryStore()
    let app: RunningApp
    let runs = 0

    before(async () => {
      const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
      const handle = async (): Promise<{ body: unknown }> => ({ body: { run: ++runs } })
      app = await adapter.start({
        store,
        routes: [
          { method: 'GET', path: '/get', guard: replay, handle },
          { method: 'GET', path: '/other', guard: replay, handle },
          { method: 'GET', path: '/public', guard: { ...replay, identity: 'public' }, handle },
          { method: 'GET', path: '/user', guard: { ...replay, identity: { header: 'x-user' } }, handle },
          ...adapter.parsers.map(
            (parser): RouteSpec => ({
              method: 'POST',
              path: `/${parser}`,
              guard: replay,
              parser,
              handle: async call => ({ body: { run: ++runs, got: await call.body() } }),
            }),
          ),
          {
            method: 'POST',
            path: '/idempotent',
            guard: { idempotencyKey: 'required' },
            parser: adapter.parsers[0] ?? 'none',
            handle: async call => ({ status: 201, body: { run: ++runs, got: await call.body() } }),
          },
          {
            method: 'POST',
            path: '/small',
            guard: { ...replay, maxBodyBytes: 10, oversize: 'reject' },
            handle,
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
    const bodyOf = async (path: string, ask?: Ask): Promise<string> => (await app.server.ask(path, ask)).body

    it('user, path, query and host each make a request of its own; an equal one is a duplicate', async () => {
      const asks: [string, Ask][] = [
        ['/get', {}],
        ['/get', { headers: { authorization: 'Bearer a' } }],
        ['/get', { headers: { authorization: 'Bearer b' } }],
        ['/get', { headers: { cookie: 'sid=1' } }],
        ['/get?a=1', {}],
        ['/other', {}],
        ['/get', { headers: { host: 'other.example' } }],
      ]
      const first = []
      for (const [path, ask] of asks) first.push(await bodyOf(path, ask))
      expect(runs).to.equal(asks.length)
      const again = []
      for (const [path, ask] of asks) again.push(await bodyOf(path, ask))
      expect(runs).to.equal(asks.length)
      expect(again).to.deep.equal(first)
    })

    it("identity: 'public' shares among users, a function of the request tells them apart", async () => {
      const as = (user: string): Ask => ({ headers: { authorization: user, 'x-user': user } })
      expect(await bodyOf('/public', as('a'))).to.equal(await bodyOf('/public', as('b')))
      expect(await bodyOf('/user', as('a'))).not.to.equal(await bodyOf('/user', as('b')))
      expect(await bodyOf('/user', { headers: { authorization: 'c', 'x-user': 'a' } })).to.equal(
        await bodyOf('/user', as('a')),
      )
    })

    for (const parser of adapter.parsers) {
      it(`parser ${parser}: the handler gets the body, an equal one is a duplicate, another one is not`, async () => {
        const body = { deep: [1, { two: '2' }], text: 'é'.repeat(20_000) }
        const first = await bodyOf(`/${parser}`, json(body))
        expect(JSON.parse(first)).to.deep.equal({ run: 1, got: body })
        expect(await bodyOf(`/${parser}`, json(body))).to.equal(first)
        expect(JSON.parse(await bodyOf(`/${parser}`, json({ ...body, deep: [] })))).to.include({ run: 2 })
        expect(JSON.parse(await bodyOf(`/${parser}`, json({})))).to.deep.equal({ run: 3, got: {} })
        expect(JSON.parse(await bodyOf(`/${parser}`, json([])))).to.deep.equal({ run: 4, got: [] })
      })
    }

    it('an Idempotency-Key names the operation: its retry is replayed, another payload refused, none is told', async () => {
      const ask = (body: unknown, key?: string): Ask => json(body, key === undefined ? {} : { 'idempotency-key': key })
      const first = await app.server.ask('/idempotent', ask({ pay: 1 }, '"one"'))
      const retry = await app.server.ask('/idempotent', ask({ pay: 1 }, '"one"'))
      expect([first.status, first.headers['idempotent-replayed']]).to.deep.equal([201, undefined])
      expect([retry.status, retry.body, retry.headers['idempotent-replayed']]).to.deep.equal([201, first.body, 'true'])
      expect((await app.server.ask('/idempotent', ask({ pay: 2 }, '"one"'))).status).to.equal(422)
      expect((await app.server.ask('/idempotent', ask({ pay: 1 }))).status).to.equal(400)
      expect((await app.server.ask('/idempotent', ask({ pay: 1 }, '"two"'))).status).to.equal(201)
      expect(runs).to.equal(2)
    })

    if (adapter.parsers.includes('none')) {
      it('a body over maxBodyBytes is 413 where asked', async () => {
        const answer = await app.server.ask('/small', json({ more: 'than 10 bytes' }))
        expect([answer.status, runs]).to.deep.equal([413, 0])
        expect(JSON.parse(answer.body)).to.include({ code: 'too-large' })
      })
    }
  })
}
