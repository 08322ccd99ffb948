// Fastify, by the adapter that docs/writing-an-adapter.md leads to, for the contract suite.

import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { LockEngine } from '@dspinlock/core'
import { createGuard, type Exchange, type GuardOptions, type RequestLock } from '@dspinlock/http'
import { type FastifyReply, type FastifyRequest, fastify } from 'fastify'
import { serve } from '../support/http.js'
import type { AdapterSpec, AppSpec, NeutralOptions, RunningApp } from './spec.js'

type Done = (error?: Error) => void
type Options = GuardOptions<FastifyRequest, FastifyReply>
type Guarded = FastifyRequest & { dspinlock?: RequestLock }

interface Hook {
  (request: FastifyRequest, reply: FastifyReply, done: Done): void
  readonly engine: LockEngine
  close(): Promise<void>
}

function dspinlock(options: Options, onRoute: boolean): Hook {
  const guard = createGuard<FastifyRequest, FastifyReply>(options)
  const hook = (request: FastifyRequest, reply: FastifyReply, done: Done): void => {
    if (guard.guards(request.raw, onRoute)) void guard.handle(new FastifyExchange(request, reply, done, onRoute))
    else done()
  }
  return Object.assign(hook, { engine: guard.engine, close: () => guard.close() })
}

class FastifyExchange implements Exchange<FastifyRequest, FastifyReply> {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly request: Guarded
  readonly response: FastifyReply
  readonly url: string
  readonly onRoute: boolean
  readonly isParsed: boolean
  readonly parsedBody: unknown
  readonly #done: Done
  /** The names of the headers that Fastify would only send with its reply. */
  readonly #shown: readonly string[]

  constructor(request: FastifyRequest, reply: FastifyReply, done: Done, onRoute: boolean) {
    this.req = request.raw
    this.res = reply.raw
    this.request = request
    this.response = reply
    this.url = request.originalUrl
    this.onRoute = onRoute
    this.isParsed = request.body !== undefined
    this.parsedBody = request.body
    this.#done = done
    const kept = Object.entries(reply.getHeaders()).filter(([name]) => !this.res.hasHeader(name))
    for (const [name, value = ''] of kept) this.res.setHeader(name, value)
    this.#shown = kept.map(([name]) => name)
  }

  route(): string | undefined {
    return this.request.routeOptions.url
  }

  expose(lock: RequestLock): void {
    this.request.dspinlock = lock
  }

  proceed(): void {
    for (const name of this.#shown) this.res.removeHeader(name)
    this.#done()
  }

  fail(error: unknown): void {
    this.#done(error as Error)
  }
}

export const fastify5: AdapterSpec = { name: 'Fastify 5', parsers: ['before', 'after'], start }

async function start({ store, appWide, outside, routes }: AppSpec): Promise<RunningApp> {
  const guards: Hook[] = []
  const errors: string[] = []
  const guardWith = (options: NeutralOptions, onRoute: boolean): Hook => {
    const guard = dspinlock({ ...translate(options), store }, onRoute)
    guards.push(guard)
    return guard
  }
  let listener: RequestListener = () => {}
  const app = fastify({
    serverFactory: given => {
      listener = given
      return createServer(given)
    },
  })
  app.addHook('onRequest', (_request, reply, done) => {
    if (outside !== undefined) reply.header('X-Outside', outside())
    done()
  })
  app.setErrorHandler((error: Error, _request, reply) => {
    errors.push(error.message)
    return reply.code(500).type('text/plain').send('handled')
  })
  if (appWide !== undefined) app.addHook('preHandler', guardWith(appWide, false))
  for (const { method, path, guard, parser, handle } of routes) {
    const hook = guard === undefined ? undefined : guardWith(guard, true)
    app.route({
      method,
      url: path,
      ...(hook === undefined ? {} : parser === 'after' ? { onRequest: hook } : { preHandler: hook }),
      handler: async (request: Guarded, reply) => {
        const { status, headers, body } = await handle({ body: async () => request.body, lock: request.dspinlock })
        if (status !== undefined) reply.code(status)
        if (headers !== undefined) reply.headers(headers)
        return reply.send(body)
      },
    })
  }
  await app.ready()
  const server = await serve(listener)
  const [first] = guards
  if (first === undefined) throw new Error('an app under test needs a guard')
  return {
    server: { ...server, stop: () => server.stop().then(() => app.close()) },
    engine: first.engine,
    errors,
    close: async () => void (await Promise.all(guards.map(guard => guard.close()))),
  }
}

function translate({ identity, refuseWith, ...rest }: NeutralOptions): Options {
  return {
    ...rest,
    ...(identity === undefined
      ? {}
      : { identity: identity === 'public' ? identity : ({ headers }) => String(headers[identity.header]) }),
    ...(refuseWith === undefined ? {} : { onRefused: () => Promise.reject(refuseWith) }),
  }
}
