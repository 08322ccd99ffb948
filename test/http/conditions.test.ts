// Conditional requests: the record is always complete, and each duplicate's own conditions are evaluated against it.

import { dspinlock, memoryStore } from '@dspinlock/express'
import { expect } from 'chai'
import type { Request, Response } from 'express'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { type Answer, frameworks, serve, type TestServer } from '../support/http.js'

const LAST_MODIFIED = 'Tue, 01 Oct 2024 12:00:00 GMT'
const BEFORE = 'Mon, 30 Sep 2024 12:00:00 GMT'
const AFTER = 'Wed, 02 Oct 2024 12:00:00 GMT'

/** Conditions of a duplicate, and whether it gets 304. */
const conditions: readonly (readonly [what: string, headers: Record<string, string>, status: 200 | 304])[] = [
  ['`If-None-Match` with the tag', { 'if-none-match': '"v1"' }, 304],
  ['`If-None-Match` with the weak tag', { 'if-none-match': 'W/"v1"' }, 304],
  ['`If-None-Match` with a list that has the tag', { 'if-none-match': '"a", W/"b" ,"v1"' }, 304],
  ['`If-None-Match: *`', { 'if-none-match': '*' }, 304],
  ['`If-None-Match` with another tag', { 'if-none-match': '"v2"' }, 200],
  ['`If-None-Match` with a list of others', { 'if-none-match': '"a", "b"' }, 200],
  ['`If-Modified-Since` the time', { 'if-modified-since': LAST_MODIFIED }, 304],
  ['`If-Modified-Since` a later time', { 'if-modified-since': AFTER }, 304],
  ['`If-Modified-Since` an earlier time', { 'if-modified-since': BEFORE }, 200],
  ['`If-Modified-Since` what is no time', { 'if-modified-since': 'yesterday' }, 200],
  ['both: `If-None-Match` counts', { 'if-none-match': '"v2"', 'if-modified-since': AFTER }, 200],
  ['both: `If-None-Match` counts, the other way', { 'if-none-match': '"v1"', 'if-modified-since': BEFORE }, 304],
  ['with `Cache-Control: no-cache`', { 'if-none-match': '"v1"', 'cache-control': 'no-cache' }, 200],
]

describe('conditional requests', () => {
  const topic = openTopic('Conditional requests', 'conditions.test.ts')

  for (const { name, express } of frameworks) {
    describe(`on ${name}`, () => {
      let server: TestServer
      let runs = 0
      let seen: Record<string, unknown> = {}

      before(async () => {
        const guard = dspinlock({ store: memoryStore(), duplicates: 'replay', ttlMs: 60_000 })
        const app = express()
        app.disable('x-powered-by')
        const handle = (req: Request, res: Response): void => {
          runs++
          seen = { ...req.headers }
          res.set({ ETag: '"v1"', 'Last-Modified': LAST_MODIFIED, Vary: 'Accept', 'Cache-Control': 'max-age=60' })
          res.set({ 'Content-Language': 'de', 'Content-Location': '/here', Expires: AFTER })
          const status = Number(req.query['status'] ?? 200)
          if (req.headers['if-match'] === '"other"') res.status(412).send('failed')
          else res.status(status).type('text').send('the body')
        }
        app.all('/', guard, handle)
        app.all('/serialised', dspinlock(), handle)
        server = await serve(app)
      })
      beforeEach(() => {
        runs = 0
      })
      after(() => server.stop())

      let round = 0
      const path = (query = ''): string => `/?round=${++round}${query}`

      for (const [what, headers, status] of conditions) {
        it(`${what}: ${status}`, async () => {
          const at = path()
          await server.ask(at)
          const duplicate = await server.ask(at, { headers })
          expect([duplicate.status, duplicate.body, runs]).to.deep.equal([status, status === 304 ? '' : 'the body', 1])
          if (status === 304) expectNotModified(duplicate)
          topic.row(what, 'gets all of it', status === 304 ? '304' : 'the same')
        })
      }

      it('the first one’s are not shown to the handler, so that the record is whole', async () => {
        const at = path()
        const first = await server.ask(at, { headers: { 'if-none-match': '"v1"', 'if-modified-since': AFTER } })
        expect([first.status, first.body]).to.deep.equal([200, 'the body'])
        expect(seen).to.not.have.any.keys('if-none-match', 'if-modified-since')
        expect((await server.ask(at)).body).to.equal('the body')
        expect(runs).to.equal(1)
        topic.row(
          'conditions of the first request, on a read',
          'gets all of it, and no 304',
          'the same, or 304 by its own',
        )
      })

      it('under `serialise` they are the handler’s', async () => {
        for (let n = 1; n <= 2; n++) {
          const answer = await server.ask('/serialised', { headers: { 'if-none-match': '"v1"' } })
          expect([answer.status, runs]).to.deep.equal([304, n])
        }
        topic.row('conditions under `serialise` or `reject`', SAME, 'is asked as it came')
      })

      it('`If-Match` that fails: its 412 is for nobody else', async () => {
        const at = path()
        // A refusal is replayed only to the same person.
        const somebody = { authorization: 'Bearer of somebody' }
        const conditional = { ...somebody, 'if-match': '"other"' }
        expect((await server.ask(at, { headers: conditional })).status).to.equal(412)
        expect((await server.ask(at, { headers: somebody })).status).to.equal(200)
        expect((await server.ask(at, { headers: conditional })).status).to.equal(412)
        expect(runs).to.equal(2)
        topic.row('`If-Match`, `If-Unmodified-Since`', SAME, 'the same under the same condition, or runs for itself')
      })

      it('on a write they make a request of its own', async () => {
        const at = path()
        for (const tag of [undefined, '"a"', '"b"']) {
          const headers: Record<string, string> = tag === undefined ? {} : { 'if-none-match': tag }
          await server.ask(at, { method: 'POST', headers })
        }
        expect(runs).to.equal(3)
        topic.row('conditions on a write', SAME, 'the same under the same conditions, or runs for itself')
      })

      it('on a write they are not compared with the record, because only a read is answered with 304', async () => {
        const ask = { method: 'POST', headers: { 'if-none-match': '"v1"' } }
        const at = path()
        const [first, second] = [await server.ask(at, ask), await server.ask(at, ask)]
        expect([second.status, second.body, runs]).to.deep.equal([first.status, first.body, 1])
      })

      it('on a write they are the handler’s, because the work depends on them', async () => {
        await server.ask(path(), { method: 'PUT', headers: { 'if-none-match': '*', 'if-modified-since': AFTER } })
        expect(seen).to.include({ 'if-none-match': '*', 'if-modified-since': AFTER })
      })

      it('only a 200 is compared: other answers are given in full', async () => {
        for (const status of [201, 203, 404, 410]) {
          const at = path(`&status=${status}`)
          await server.ask(at)
          const duplicate = await server.ask(at, { headers: { 'if-none-match': '"v1"' } })
          expect([duplicate.status, duplicate.body]).to.deep.equal([status, 'the body'])
        }
        topic.row('conditions, and the answer is no 200', 'gets all of it', 'the same')
      })
    })
  }
})

/** RFC 9110, section 15.4.5. */
function expectNotModified({ headers }: Answer): void {
  expect(headers).to.include({
    etag: '"v1"',
    vary: 'Accept',
    'cache-control': 'max-age=60',
    'content-location': '/here',
    expires: AFTER,
    'cache-status': 'dspinlock; hit',
  })
  expect(headers).to.have.any.keys('date')
  expect(headers).to.not.have.any.keys(
    'content-type',
    'content-length',
    'content-language',
    'content-encoding',
    'transfer-encoding',
  )
}
