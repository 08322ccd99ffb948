// A failure leaves no record, and its error goes where it would have gone without dspinlock.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { ErrorRequestHandler } from 'express'
import { frameworks, serve, type TestServer } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`errors on ${name}`, () => {
    let server: TestServer
    let runs = 0
    let handled: unknown[] = []

    before(async () => {
      const app = express()
      const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
      app.get('/throws', guard, () => {
        runs++
        throw new Error('of the handler')
      })
      app.get('/next', guard, (_req, _res, next) => {
        runs++
        next(new Error('by next'))
      })
      app.get('/late', guard, (_req, res) => {
        runs++
        setTimeout(() => res.status(runs === 1 ? 500 : 200).send(String(runs)), 20)
      })
      const onError: ErrorRequestHandler = (error: Error, _req, res, _next) => {
        handled.push(error.message)
        res.status(500).send('handled')
      }
      app.use(onError)
      server = await serve(app)
    })
    beforeEach(() => {
      runs = 0
      handled = []
    })
    after(() => server.stop())

    for (const [path, message] of [
      ['/throws', 'of the handler'],
      ['/next', 'by next'],
    ] as const) {
      it(`${path}: the error reaches the error handler, no record stays, the next duplicate runs`, async () => {
        for (let n = 0; n < 2; n++) expect((await server.ask(path)).body).to.equal('handled')
        expect(runs).to.equal(2)
        expect(handled).to.deep.equal([message, message])
      })
    }

    it('a function among the options that rejects with nothing is an error all the same, and nothing runs', async () => {
      const app = express()
      const nothing = async (): Promise<never> => Promise.reject(undefined)
      app.post('/identity', dspinlock({ identity: nothing }), (_req, res) => {
        runs++
        res.send('ran')
      })
      const server = await serve(app)
      expect([(await server.ask('/identity', { method: 'POST' })).status, runs]).to.deep.equal([500, 0])
      await server.stop()
    })

    it('of duplicates that wait for a failure, one runs, and the rest get its success', async () => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => server.ask('/late')))
      expect(answers.map(answer => answer.status).sort((a, b) => a - b)).to.deep.equal([200, 200, 200, 200, 500])
      expect(runs).to.equal(2)
    })
  })
}
