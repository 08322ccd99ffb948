// Express, for the contract suite.

import { json as parseJson } from 'node:stream/consumers'
import { type DspinlockHandler, type DspinlockOptions, dspinlock } from '@dspinlock/express'
import type { ErrorRequestHandler, RequestHandler } from 'express'
import { frameworks, serve } from '../support/http.js'
import { type AdapterSpec, type AppSpec, isStream, type NeutralOptions, type RunningApp } from './spec.js'

export const [express5, express4] = frameworks.map(
  ({ name, express }): AdapterSpec => ({
    name,
    parsers: ['before', 'after', 'none'],
    start: app => start(express, app),
  }),
) as [AdapterSpec, AdapterSpec]

async function start(
  express: (typeof frameworks)[number]['express'],
  { store, appWide, outside, routes }: AppSpec,
): Promise<RunningApp> {
  const guards: DspinlockHandler[] = []
  const errors: string[] = []
  const guardWith = (options: NeutralOptions): DspinlockHandler => {
    const guard = dspinlock({ ...translate(options), store })
    guards.push(guard)
    return guard
  }
  const app = express()
  app.use((_req, res, next) => {
    if (outside !== undefined) res.setHeader('X-Outside', outside())
    next()
  })
  if (appWide !== undefined) app.use(guardWith(appWide))
  for (const { method, path, guard, parser = 'none', handle } of routes) {
    const handlers: RequestHandler[] = guard === undefined ? [] : [guardWith(guard)]
    if (parser === 'before') handlers.unshift(express.json())
    if (parser === 'after') handlers.push(express.json())
    handlers.push((req, res, next) => {
      const call = { body: async () => req.body ?? (await parseJson(req)), lock: req.dspinlock }
      const answer = async (): Promise<void> => {
        const { status, headers, body } = await handle(call)
        if (status !== undefined) res.status(status)
        if (headers !== undefined) res.set(headers)
        if (body === undefined) res.end()
        else if (isStream(body)) body.pipe(res)
        else if (typeof body === 'string') res.type('text').send(body)
        else if (Buffer.isBuffer(body)) res.send(body)
        else res.json(body)
      }
      answer().catch(next)
    })
    app[method === 'GET' ? 'get' : 'post'](path, ...handlers)
  }
  const onError: ErrorRequestHandler = (error: Error, _req, res, _next) => {
    errors.push(error.message)
    res.status(500).type('text').send('handled')
  }
  app.use(onError)
  const server = await serve(app)
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
    ...(identity === undefined ? {} : { identity: identity === 'public' ? identity : req => req.get(identity.header) }),
    ...(refuseWith === undefined ? {} : { onRefused: () => Promise.reject(refuseWith) }),
  }
}
