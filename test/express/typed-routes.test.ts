// On a route, TypeScript knows the same about its parameters and bodies with dspinlock as without; that this compiles is half of the test.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { Request, RequestHandler, Response } from 'express'
import { frameworks, json, serve, type TestServer } from '../support/http.js'

/** An interface, which, unlike a type of the same properties, is no Record of unknown values. */
interface UserLocals {
  readonly user: string
}

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
      app.use((_req, res, next) => {
        res.locals.user = 'ann'
        next()
      })
      app.get('/users/me', dspinlock(), (_req, res: Response<string, UserLocals>) => {
        res.send(res.locals.user)
      })
      server = await serve(app)
    })
    after(() => server.stop())

    it('a parameter of the path is a string', async () => {
      expect((await server.ask('/orders/7')).body).to.equal('7')
    })

    it('a handler may say what its body and its answer are', async () => {
      expect((await server.ask('/orders/7', json({ amount: 5 }))).body).to.equal('{"paid":5}')
    })

    it('a handler may say what its locals are', async () => {
      expect((await server.ask('/users/me')).body).to.equal('ann')
    })

    it('it is a RequestHandler of any route', async () => {
      expect((await server.ask('/carts/7')).body).to.equal('cart')
    })
  })
}
