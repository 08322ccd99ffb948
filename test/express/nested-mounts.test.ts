// The mount nearest to the handler decides.

import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import { storeWith } from '../support/engine.js'
import { frameworks, Gate, json, serve, type TestServer, until } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`nested mounts on ${name}`, () => {
    let server: TestServer
    let runs = 0
    let gate = new Gate()
    const outer = dspinlock()
    const replaying = dspinlock({ duplicates: 'replay' })

    before(async () => {
      const app = express()
      app.use(outer)
      app.use(express.json())
      app.post('/pay', dspinlock({ duplicates: 'reject' }), (_req, res, next) => {
        runs++
        gate.opened.then(() => res.json({ runs }), next)
      })
      app.post(
        '/counted',
        (_req, _res, next) => void gate.opened.then(() => next(), next),
        dspinlock({ maxRequestsPerIdentity: 5 }),
        (_req, res) => {
          runs++
          res.end()
        },
      )
      app.post('/replay', replaying, (_req, res, next) => {
        runs++
        gate.opened.then(() => res.json({ runs }), next)
      })
      const read: RequestHandler = (req, _res, next) => void text(req).then(() => next(), next)
      app.post('/read', read, dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
        res.send(`run ${++runs}`)
      })
      server = await serve(app)
    })
    beforeEach(() => {
      runs = 0
      gate = new Gate()
    })
    after(() => server.stop())

    it('a rejecting route inside a serialising app rejects while one is in flight', async () => {
      const first = server.ask('/pay', json({ n: 1 }))
      await until(() => runs === 1, 'the first one runs')
      expect((await server.ask('/pay', json({ n: 1 }))).status).to.equal(409)
      gate.open()
      expect((await first).status).to.equal(200)
      expect((await server.ask('/pay', json({ n: 1 }))).status).to.equal(200)
    })

    for (const [what, headers] of [
      ['of a declared length', {}],
      ['in chunks', { 'transfer-encoding': 'chunked' }],
    ] as const) {
      it(`a route compares a body that is too large for the app, as far as it may itself: ${what}`, async () => {
        const app = express()
        app.use(dspinlock({ maxBodyBytes: 10 }))
        const larger = { duplicates: 'replay', ttlMs: 60_000, maxBodyBytes: 1_000 } as const
        app.post(
          '/larger',
          dspinlock(larger),
          express.json(),
          (req, res) => void res.json({ run: ++runs, got: req.body }),
        )
        app.post('/named', dspinlock({ idempotencyKey: 'required', maxBodyBytes: 1_000 }), (_req, res) => {
          res.json({ run: ++runs })
        })
        const nested = await serve(app)
        const body = { text: 'x'.repeat(100) }
        for (const run of [1, 1]) {
          const { body: answer } = await nested.ask('/larger', json(body, { host: 'h', ...headers }))
          expect(JSON.parse(answer)).to.deep.equal({ run, got: body })
        }
        for (const run of [2, 2]) {
          const named = json(body, { host: 'h', 'idempotency-key': 'k', ...headers })
          expect((await nested.ask('/named', named)).body).to.equal(`{"run":${run}}`)
        }
        await nested.stop()
      })
    }

    it('a route decides, also inside an app with Idempotency-Keys: then a retry runs again', async () => {
      const app = express()
      app.use(dspinlock({ idempotencyKey: 'required' }))
      app.post('/named', (_req, res) => void res.json({ run: ++runs }))
      app.post('/inside', dspinlock(), (_req, res) => void res.json({ run: ++runs }))
      const nested = await serve(app)
      const retry = json({}, { host: 'h', 'idempotency-key': 'k' })
      const answers: string[] = []
      for (const path of ['/named', '/named', '/inside', '/inside']) answers.push((await nested.ask(path, retry)).body)
      expect(answers).to.deep.equal(['{"run":1}', '{"run":1}', '{"run":2}', '{"run":3}'])
      expect((await nested.ask('/inside', json({}))).status).to.equal(400)
      await nested.stop()
    })

    it('the app refuses what it cannot lock, whatever the route would do about it', async () => {
      const down = storeWith({
        claim: () => {
          throw new Error('down')
        },
      })
      const app = express()
      const route = dspinlock({ store: down, onStoreError: 'bypass' })
      app.post('/alone', route, (_req, res) => void res.send('runs'))
      app.use(dspinlock({ store: down }))
      app.post('/inside', route, (_req, res) => void res.send('runs'))
      const nested = await serve(app)
      expect((await nested.ask('/alone', json({}))).body).to.equal('runs')
      expect((await nested.ask('/inside', json({}))).status).to.equal(503)
      await nested.stop()
    })

    it('a client that leaves between two mounts leaves neither of them locked, also where requests are counted', async () => {
      const socket = await server.dial('POST /counted HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
      await until(() => outer.engine.keys === 1, 'it has come to the outer one')
      const left = server.left()
      socket.destroy()
      await left
      gate.open()
      await until(() => outer.engine.keys === 0, 'the key is free')
      expect(runs).to.equal(0)
    })

    it('a replaying route inside a serialising app runs once for all who are there', async () => {
      const answers = Array.from({ length: 20 }, () => server.ask('/replay', json({ n: 1 })))
      await until(() => runs === 1 && replaying.engine.waiters === 19, 'one runs, all others wait for it')
      gate.open()
      const bodies = (await Promise.all(answers)).map(answer => answer.body)
      expect([runs, new Set(bodies).size]).to.deep.equal([1, 1])
    })

    it('where code between two mounts has read the body, the inner one compares what the outer one has seen of it', async () => {
      const bodies: string[] = []
      for (const body of ['one', 'two', 'one']) {
        const ask = { method: 'POST', headers: { host: 'h', 'content-type': 'text/plain' }, body }
        bodies.push((await server.ask('/read', ask)).body)
      }
      expect(bodies).to.deep.equal(['run 1', 'run 2', 'run 1'])
    })
  })
}
