// Sessions of requests that take turns: each has what the one before it has left.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import session from 'express-session'
import { frameworks, serve } from '../support/http.js'

declare module 'express-session' {
  interface SessionData {
    count: number
  }
}

const counting = (): RequestHandler => session({ secret: 'of a test', resave: false, saveUninitialized: true })

const count: RequestHandler = (req, res) => {
  req.session.count = (req.session.count ?? 0) + 1
  res.send(String(req.session.count))
}

const countAnew: RequestHandler = (req, res, next) => {
  req.session.reload(() => {
    req.session.count = (req.session.count ?? 0) + 1
    req.session.save(error => (error ? next(error) : res.send(String(req.session.count))))
  })
}

for (const { name, express } of frameworks) {
  describe(`sessions on ${name}`, () => {
    for (const { what, handlers } of [
      { what: 'mounted behind dspinlock', handlers: () => [dspinlock(), counting(), count] },
      {
        what: 'in front of it, read anew and stored by the handler',
        handlers: () => [counting(), dspinlock(), countAnew],
      },
    ]) {
      it(`${what}: of duplicates that take turns, each finds what the one before it has left`, async () => {
        const app = express()
        app.use(handlers())
        const server = await serve(app)
        const [cookie = ''] = String((await server.ask('/', { method: 'POST' })).headers['set-cookie']).split(';')
        const ask = { method: 'POST', headers: { cookie } }
        const answers = await Promise.all(Array.from({ length: 5 }, () => server.ask('/', ask)))
        expect(answers.map(({ body }) => body).sort()).to.deep.equal(['2', '3', '4', '5', '6'])
        await server.stop()
      })
    }
  })
}
