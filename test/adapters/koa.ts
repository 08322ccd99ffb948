// Koa, for the contract suite.

import { json as parseJson } from 'node:stream/consumers'
import { type DspinlockMiddleware, type DspinlockOptions, dspinlock } from '@dspinlock/koa'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import type { Middleware } from 'koa'
import { koas, serveKoa } from '../support/koa.js'
import type { AdapterSpec, AppSpec, NeutralOptions, RunningApp } from './spec.js'

export const [koa3, koa2] = koas.map(
  ({ name, Koa }): AdapterSpec => ({ name, parsers: ['before', 'after', 'none'], start: app => start(Koa, app) }),
) as [AdapterSpec, AdapterSpec]

async function start(
  Koa: (typeof koas)[number]['Koa'],
  { store, appWide, outside, routes }: AppSpec,
): Promise<RunningApp> {
  const guards: DspinlockMiddleware[] = []
  const errors: string[] = []
  const guardWith = (options: NeutralOptions): DspinlockMiddleware => {
    const guard = dspinlock({ ...translate(options), store })
    guards.push(guard)
    return guard
  }
  const app = new Koa()
  app.use(async (ctx, next) => {
    if (outside !== undefined) ctx.set('X-Outside', outside())
    try {
      await next()
    } catch (error) {
      errors.push((error as Error).message)
      ctx.status = 500
      ctx.body = 'handled'
    }
  })
  if (appWide !== undefined) app.use(guardWith(appWide))
  const router = new Router()
  for (const { method, path, guard, parser = 'none', handle } of routes) {
    const stack: Middleware[] = guard === undefined ? [] : [guardWith(guard)]
    if (parser === 'before') stack.unshift(bodyParser())
    if (parser === 'after') stack.push(bodyParser())
    stack.push(async ctx => {
      const { status, headers, body } = await handle({
        body: async () => ctx.request.body ?? (await parseJson(ctx.req)),
        lock: ctx.state.dspinlock,
      })
      if (status !== undefined) ctx.status = status
      if (headers !== undefined) ctx.set(headers)
      ctx.body = body ?? null
      if (status !== undefined) ctx.status = status
    })
    router[method === 'GET' ? 'get' : 'post'](path, ...stack)
  }
  app.use(router.routes())
  const server = await serveKoa(app)
  const [first] = guards
  if (first === undefined) throw new Error('an app under test needs a guard')
  return {
    server,
    engine: first.engine,
    errors,
    close: async () => void (await Promise.all(guards.map(guard => guard.close()))),
  }
}

function translate({ identity, refuseWith, ...rest }: NeutralOptions): DspinlockOptions {
  return {
    ...rest,
    ...(identity === undefined ? {} : { identity: identity === 'public' ? identity : ctx => ctx.get(identity.header) }),
    ...(refuseWith === undefined ? {} : { onRefused: () => Promise.reject(refuseWith) }),
  }
}
