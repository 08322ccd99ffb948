// The Express app under measurement, bare or with something mounted.

import { dspinlock } from '@dspinlock/express'
import express, { type Express, type RequestHandler } from 'express'
import { findSubject } from '../peers/middleware/index.js'
import { makeAnswer, runs, SLOW_MS } from './answers.js'
import { makeLeast } from './least.js'
import { openStore } from './own-store.js'
import type { OwnGuard, ServerSpec } from './spec.js'

export async function makeExpressApp(spec: ServerSpec): Promise<Express> {
  const app = express()
  const parse = express.json(spec.maxBodyBytes === undefined ? {} : { limit: spec.maxBodyBytes })
  const handlers: RequestHandler[] = [parse]
  let hasAnswered: (req: express.Request) => boolean = () => false
  const { guard, least, redisUrl } = spec
  const mount = (place: OwnGuard['place'], handler: RequestHandler): void => {
    if (place === 'app') app.use(handler)
    else handlers.splice(place === 'route' ? 1 : 0, 0, handler)
  }
  if (least !== undefined && least.place !== 'in-front') mount(least.place, makeLeast(least, redisUrl))
  if (guard !== undefined && 'place' in guard && guard.place !== 'in-front') {
    mount(guard.place, dspinlock({ ...guard.options, store: await openStore(guard, redisUrl) }))
  } else if (guard !== undefined && !('place' in guard)) {
    const mounted = await findSubject(guard.by).mount({ store: guard.store, redisUrl })
    handlers.push(mounted.handler)
    hasAnswered = mounted.hasAnswered ?? hasAnswered
  }
  app.post('/orders', ...handlers, (req, res) => {
    if (hasAnswered(req)) return
    runs.count++
    res.json(makeAnswer(String(req.body.order)))
  })
  app.get('/orders', (req, res) => {
    runs.count++
    res.json(makeAnswer(req.query['order'] as string))
  })
  app.get('/report', ...handlers.slice(1), (req, res) => {
    if (hasAnswered(req)) return
    runs.count++
    setTimeout(() => res.json(makeAnswer(req.query['order'] as string)), SLOW_MS)
  })
  // Lasts until the connection ends, so that waiting requests can be counted in memory.
  app.get('/hang', ...handlers.slice(1), () => {
    runs.count++
  })
  return app
}
