// Other things that requests and stores may do: conditions, identities, credentials, variants, outages.

import type { DspinlockOptions, Store } from '@dspinlock/nestjs'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { json } from '../support/http.js'
import { type NestServer, type PlainRoute, platforms, startRoutes } from '../support/nest.js'

let runs = 0

const replayed = { duplicates: 'replay', ttlMs: 60_000 } as const

const routes: readonly PlainRoute[] = [
  {
    method: 'GET',
    path: 'etag',
    options: replayed,
    handler: (_request, response) => {
      response.header('etag', '"one"')
      return { run: ++runs }
    },
  },
  {
    method: 'GET',
    path: 'cookie',
    options: replayed,
    handler: (_request, response) => {
      response.header('set-cookie', 'sid=secret')
      return { run: ++runs }
    },
  },
  {
    method: 'GET',
    path: 'language',
    options: replayed,
    handler: ({ headers }, response) => {
      response.header('vary', 'accept-language')
      return { language: headers['accept-language'], run: ++runs }
    },
  },
  {
    method: 'POST',
    path: 'large',
    options: { ...replayed, maxRecordBytes: 10 },
    handler: () => ({ text: 'x'.repeat(100), run: ++runs }),
  },
  { method: 'POST', path: 'plain', handler: () => ({ run: ++runs }) },
]

/** The address of a Redis that does not exist. */
const away = (): Store => redisStore('redis://127.0.0.1:1', { commandTimeoutMs: 100 })

for (const platform of platforms) {
  describe(`requests on ${platform.name}`, () => {
    let server: NestServer

    const start = async (options: DspinlockOptions<never, never> = {}): Promise<void> => {
      server = await startRoutes(platform, options, routes)
    }
    beforeEach(() => {
      runs = 0
    })
    afterEach(() => server.stop())

    it("a holder's own condition does not count, a follower's does", async () => {
      await start()
      const first = await server.ask('/etag', { headers: { 'if-none-match': '"one"' } })
      expect([first.status, first.body]).to.deep.equal([200, '{"run":1}'])
      const unchanged = await server.ask('/etag', { headers: { 'if-none-match': '"one"' } })
      expect([unchanged.status, unchanged.body, unchanged.headers.etag]).to.deep.equal([304, '', '"one"'])
      expect((await server.ask('/etag', { headers: { 'if-none-match': '"two"' } })).body).to.equal('{"run":1}')
    })

    it('nobody gets the answer of somebody else, or anybody a cookie', async () => {
      await start()
      const [a, b] = [{ headers: { authorization: 'a' } }, { headers: { authorization: 'b' } }]
      expect((await server.ask('/cookie', a)).headers['set-cookie']).to.deep.equal(['sid=secret'])
      const replayedToA = await server.ask('/cookie', a)
      expect([replayedToA.body, replayedToA.headers['set-cookie']]).to.deep.equal(['{"run":1}', undefined])
      expect((await server.ask('/cookie', b)).body).to.equal('{"run":2}')
    })

    it('a request that differs in what the response varies by runs for itself', async () => {
      await start()
      const ask = (language: string): Promise<{ body: string }> =>
        server.ask('/language', { headers: { 'accept-language': language } })
      expect((await ask('de')).body).to.equal('{"language":"de","run":1}')
      expect((await ask('en')).body).to.equal('{"language":"en","run":2}')
      expect((await ask('de')).body).to.equal('{"language":"de","run":1}')
    })

    it('a response too large to keep: an effect does not happen twice', async () => {
      await start()
      expect((await server.ask('/large', json({}))).status).to.equal(201)
      const second = await server.ask('/large', json({}))
      expect([second.status, runs]).to.deep.equal([409, 1])
    })

    it('a store that is away: 503, or unguarded where asked', async () => {
      await start({ store: away() })
      const refused = await server.ask('/plain', json({}))
      expect([refused.status, refused.headers['content-type'], runs]).to.deep.equal([
        503,
        'application/problem+json',
        0,
      ])
      await server.stop()
      await start({ store: away(), onStoreError: 'bypass' })
      expect((await server.ask('/plain', json({}))).body).to.equal('{"run":1}')
    })

    it('an option that throws is an error like that of a handler', async () => {
      await start({
        identity: () => {
          throw new Error('who knows')
        },
      })
      expect([(await server.ask('/plain', json({}))).status, runs]).to.deep.equal([500, 0])
    })
  })
}
