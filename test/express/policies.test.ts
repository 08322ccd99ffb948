// Each policy with real duplicates, in one process on the memory store.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import { type Answer, frameworks, json, serve, type TestServer } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`policies on ${name}`, () => {
    let server: TestServer
    let runs = 0
    let inside = 0
    let overlapped = false

    before(async () => {
      const app = express()
      const work = async (ms: number): Promise<number> => {
        const run = ++runs
        overlapped ||= ++inside > 1
        await new Promise(resolve => setTimeout(resolve, ms))
        inside--
        return run
      }
      app.get('/replay', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (_req, res, next) => {
        work(100).then(run => res.json({ run }), next)
      })
      app.all('/reject', dspinlock({ duplicates: 'reject', ttlMs: 60_000 }), (_req, res, next) => {
        work(100).then(run => res.json({ run }), next)
      })
      app.use(dspinlock())
      app.post('/serialise', (_req, res, next) => {
        work(2).then(run => res.json({ run }), next)
      })
      app.get('/open', (_req, res) => {
        res.json({ run: ++runs, guarded: _req.dspinlock !== undefined })
      })
      server = await serve(app)
    })
    beforeEach(() => {
      runs = 0
      overlapped = false
    })
    after(() => server.stop())

    const burst = (count: number, ask: () => Promise<Answer>): Promise<Answer[]> =>
      Promise.all(Array.from({ length: count }, ask))
    const statuses = (answers: readonly Answer[], status: number): number =>
      answers.filter(answer => answer.status === status).length

    it('replay: 200 at once are one run and 200 identical answers, and later ones get it, too', async () => {
      const answers = await burst(200, () => server.ask('/replay'))
      expect(runs).to.equal(1)
      expect(statuses(answers, 200)).to.equal(200)
      expect(new Set(answers.map(answer => answer.body)).size).to.equal(1)
      const later = await server.ask('/replay')
      expect(later.body).to.equal(answers[0]?.body)
      expect(later.headers['cache-status']).to.equal('dspinlock; hit')
      expect(later.headers.age).to.match(/^\d+$/)
    })

    it('reject: 200 at once are one run and 199 conflicts with a problem, also after it finished', async () => {
      const answers = await burst(200, () => server.ask('/reject', json({ pay: 1 })))
      expect(runs).to.equal(1)
      expect([statuses(answers, 200), statuses(answers, 409)]).to.deep.equal([1, 199])
      const later = await server.ask('/reject', json({ pay: 1 }))
      expect(later.status).to.equal(409)
      expect(later.headers['content-type']).to.equal('application/problem+json')
      expect(JSON.parse(later.body)).to.include({ status: 409, code: 'settled' })
    })

    it('reject: a GET that is done is refused as a POST is, though it could run again without harm', async () => {
      expect((await server.ask('/reject')).status).to.equal(200)
      expect(JSON.parse((await server.ask('/reject')).body)).to.include({ status: 409, code: 'settled' })
      expect(runs).to.equal(1)
    })

    it('serialise: 20 at once are 20 runs that never overlap', async () => {
      const answers = await burst(20, () => server.ask('/serialise', json({ a: 1 })))
      expect(new Set(answers.map(answer => answer.body)).size).to.equal(20)
      expect(runs).to.equal(20)
      expect(overlapped).to.equal(false)
    })

    it('app-wide, a GET is not guarded', async () => {
      expect(JSON.parse((await server.ask('/open')).body)).to.include({ guarded: false })
    })
  })
}
