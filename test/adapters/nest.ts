// Nest on Express and on Fastify, for the contract suite.

import type { RequestListener, ServerResponse } from 'node:http'
import type { LockEngine } from '@dspinlock/core'
import type { RequestLock } from '@dspinlock/http'
import {
  Dspinlock,
  DspinlockInterceptor,
  DspinlockModule,
  getLockEngineToken,
  type RouteOptions,
  SkipDspinlock,
} from '@dspinlock/nestjs'
import {
  type ArgumentsHost,
  Catch,
  Controller,
  Req,
  RequestMapping,
  RequestMethod,
  Res,
  StreamableFile,
} from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { serve } from '../support/http.js'
import { createNest, type PlainRequest, type PlainResponse, type Platform, platforms } from '../support/nest.js'
import { type AdapterSpec, type AppSpec, isStream, type NeutralOptions, type Reply, type RunningApp } from './spec.js'

export const [nestOnExpress, nestOnFastify] = platforms.map(
  (platform): AdapterSpec => ({ name: platform.name, parsers: ['before'], start: app => start(platform, app) }),
) as [AdapterSpec, AdapterSpec]

async function start(platform: Platform, { store, appWide, outside, routes }: AppSpec): Promise<RunningApp> {
  const errors: string[] = []
  class Routes {}
  Controller()(Routes)
  for (const [at, { method, path, guard, handle }] of routes.entries()) {
    const name = `route${at}`
    const value = async (request: PlainRequest, response: PlainResponse): Promise<unknown> => {
      const { dspinlock: lock } = request as { readonly dspinlock?: RequestLock }
      return render(await handle({ body: async () => request.body, lock }), response)
    }
    const descriptor: PropertyDescriptor = { value, configurable: true, enumerable: false, writable: true }
    Object.defineProperty(Routes.prototype, name, descriptor)
    Req()(Routes.prototype, name, 0)
    Res({ passthrough: true })(Routes.prototype, name, 1)
    RequestMapping({ method: RequestMethod[method], path })(Routes.prototype, name, descriptor)
    if (guard !== undefined) Dspinlock<never, never>(translate(guard))(Routes.prototype, name, descriptor)
    else if (appWide === undefined) SkipDspinlock()(Routes.prototype, name, descriptor)
  }
  const app = await createNest(platform.kind, {
    imports: [DspinlockModule.forRoot<never, never>({ ...translate(appWide ?? {}), store })],
    controllers: [Routes],
    providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
  })
  app.use((_req: unknown, res: ServerResponse, next: () => void) => {
    if (outside !== undefined) res.setHeader('X-Outside', outside())
    next()
  })
  class EveryError {
    catch(error: Error, host: ArgumentsHost): void {
      errors.push(error.message)
      app.getHttpAdapter().reply(host.switchToHttp().getResponse(), 'handled', 500)
    }
  }
  Catch()(EveryError)
  app.useGlobalFilters(new EveryError())
  await app.init()
  const instance: unknown = app.getHttpAdapter().getInstance()
  const server = await serve(await toListener(instance))
  const engine = app.get<LockEngine>(getLockEngineToken())
  return {
    server: { ...server, stop: () => server.stop().then(() => app.close()) },
    engine,
    errors,
    close: () => engine.close(),
  }
}

/** What Nest itself would add to a server of its own. */
async function toListener(instance: unknown): Promise<RequestListener> {
  if (typeof instance === 'function') return instance as RequestListener
  const fastify = instance as { ready(): PromiseLike<unknown>; readonly routing: RequestListener }
  await fastify.ready()
  return (req, res) => fastify.routing(req, res)
}

function render({ status = 200, headers = {}, body }: Reply, response: PlainResponse): unknown {
  response.status(status)
  for (const [name, value] of Object.entries(headers)) response.header(name, value as string)
  if (isStream(body)) return new StreamableFile(body)
  if (Buffer.isBuffer(body)) return new StreamableFile(body)
  if (typeof body === 'string') response.header('Content-Type', 'text/plain; charset=utf-8')
  return body
}

function translate({ identity, refuseWith, ...rest }: NeutralOptions): RouteOptions<never, never> {
  const identify =
    identity === undefined || identity === 'public'
      ? identity
      : (request: PlainRequest): string | undefined => request.headers[identity.header]
  return {
    ...rest,
    ...(identify === undefined ? {} : { identity: identify }),
    ...(refuseWith === undefined ? {} : { onRefused: () => Promise.reject(refuseWith) }),
  } as RouteOptions<never, never>
}
