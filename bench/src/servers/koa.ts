// The Koa app under measurement, bare or with dspinlock on its route.

import type { RequestListener } from 'node:http'
import { dspinlock } from '@dspinlock/koa'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import Koa from 'koa'
import { makeAnswer, runs } from './answers.js'
import { openStore } from './own-store.js'
import type { ServerSpec } from './spec.js'

export async function makeKoaListener({ guard, redisUrl }: ServerSpec): Promise<RequestListener> {
  const app = new Koa()
  const router = new Router()
  app.use(bodyParser())
  const answer: Koa.Middleware = ctx => {
    runs.count++
    ctx.body = makeAnswer(String((ctx.request.body as { order: string }).order))
  }
  if (guard === undefined) router.post('/orders', answer)
  else if ('place' in guard) {
    router.post('/orders', dspinlock({ ...guard.options, store: await openStore(guard, redisUrl) }), answer)
  } else throw new Error(`${guard.by} is not mounted in Koa`)
  app.use(router.routes())
  const callback = app.callback()
  return (req, res) => void callback(req, res)
}
