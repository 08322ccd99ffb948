// On a route, TypeScript knows the same about its parameters and bodies with dspinlock as without; that this compiles is half of the test.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { Request, RequestHandler, Response } from 'express'
import { frameworks, json, serve, type TestServer } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`typed routes on ${name}`, () => {
    let server: TestServer

    before(async () => {
      const app = express()
      app.get('/orders/:id', dspinlock(), (req, res) => {
        const id: string = req.params.id
        res.send(id)
      })
      type Pay = Request<{ id: string }, { paid: number }, { amount: number }>
      app.post('/orders/:id', express.json(), dspinlock(), (req: Pay, res: Response<{ paid: number }>) => {
        res.json({ paid: req.body.amount })
      })
      const list: readonly RequestHandler[] = [dspinlock()]
      const routes: RequestHandler<{ id: string }> = dspinlock()
      app.get('/carts/:id', ...list, routes, (_req, res) => void res.send('cart'))
      server = await serve(app)
    })
    after(() => server.stop())

    it('a parameter of the path is a string', async () => {
      expect((await server.ask('/orders/7')).body).to.equal('7')
    })

    it('a handler may say what its body and its answer are', async () => {
      expect((await server.ask('/orders/7', json({ amount: 5 }))).body).to.equal('{"paid":5}')
    })

    it('it is a RequestHandler of any route', async () => {
      expect((await server.ask('/carts/7')).body).to.equal('cart')
    })
  })
}
