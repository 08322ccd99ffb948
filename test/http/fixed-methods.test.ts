// Methods of a response that other code has made read-only: they are replaced if possible, and a request that cannot be watched holds nothing.

import type { ServerResponse } from 'node:http'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import express, { type Express, type RequestHandler } from 'express'
import { serve } from '../support/http.js'

const fix =
  (name: 'end' | 'write', descriptor: PropertyDescriptor): RequestHandler =>
  (_, res, next) => {
    const method = (res as ServerResponse)[name]
    Object.defineProperty(res, name, { value: method, writable: false, ...descriptor })
    next()
  }

function makeApp(before: RequestHandler): { app: Express; runs: () => number; errors: Error[] } {
  const app = express()
  let runs = 0
  const errors: Error[] = []
  app.use(before, dspinlock({ duplicates: 'replay', ttlMs: 60_000, methods: ['GET'] }))
  app.get('/', (_, res) => void res.json({ run: ++runs }))
  app.use(((error, _req, res, _next) => {
    errors.push(error)
    res.status(500).end('failed')
  }) as express.ErrorRequestHandler)
  return { app, runs: () => runs, errors }
}

describe('a response with methods that somebody fixed', () => {
  for (const name of ['end', 'write'] as const) {
    it(`${name} was made read-only: it is recorded as any other`, async () => {
      const { app, runs } = makeApp(fix(name, { configurable: true }))
      const server = await serve(app)
      const answers = [await server.ask('/'), await server.ask('/')]
      expect(answers.map(answer => answer.body)).to.deep.equal(['{"run":1}', '{"run":1}'])
      expect(answers[1]?.headers['cache-status']).to.equal('dspinlock; hit')
      expect(runs()).to.equal(1)
      await server.stop()
    })

    it(`${name} cannot be replaced: the request fails before its handler runs, and the key is free`, async () => {
      const { app, runs, errors } = makeApp(fix(name, { configurable: false }))
      const server = await serve(app)
      const answers = [await server.ask('/'), await server.ask('/')]
      expect(answers.map(answer => answer.status)).to.deep.equal([500, 500])
      expect(errors.map(error => error.message)).to.deep.equal(Array(2).fill(`Cannot redefine property: ${name}`))
      expect(runs()).to.equal(0)
      await server.stop()
    })
  }
})
