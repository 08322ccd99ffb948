// Nest applications on both platforms, for tests, with the version of Nest that is nearest to this file.

import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import {
  Dspinlock,
  DspinlockInterceptor,
  DspinlockModule,
  type DspinlockOptions,
  type RouteOptions,
} from '@dspinlock/nestjs'
import {
  Controller,
  type INestApplication,
  Module,
  type ModuleMetadata,
  Req,
  RequestMapping,
  RequestMethod,
  Res,
} from '@nestjs/common'
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { type Answer, type Ask, send } from './http.js'

const { version } = createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string }

/** The major version: 11 or 12. */
export const nestMajor = Number(version.split('.')[0])

export interface Platform {
  readonly name: string
  readonly kind: 'express' | 'fastify'
}

export const platforms: readonly Platform[] = [
  { name: `Nest ${nestMajor} on Express`, kind: 'express' },
  { name: `Nest ${nestMajor} on Fastify`, kind: 'fastify' },
]

export interface NestServer {
  readonly app: INestApplication
  readonly port: number
  ask(path: string, ask?: Ask): Promise<Answer>
  stop(): Promise<void>
}

/** `configure` is called before the application starts to listen. */
export async function startNest(
  { kind }: Platform,
  metadata: ModuleMetadata,
  configure: (app: INestApplication) => void | Promise<void> = () => {},
): Promise<NestServer> {
  const app = await createNest(kind, metadata)
  try {
    await configure(app)
    await app.listen(0, '127.0.0.1')
  } catch (error) {
    await app.close().catch(() => {})
    throw error
  }
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address()
  return { app, port, ask: (path, ask) => send(port, path, ask), stop: () => app.close() }
}

export function createNest(kind: Platform['kind'], metadata: ModuleMetadata): Promise<INestApplication> {
  class TestModule {}
  Module(metadata)(TestModule)
  const adapter = kind === 'express' ? new ExpressAdapter() : new FastifyAdapter({ forceCloseConnections: true })
  return NestFactory.create(TestModule, adapter, {
    logger: false,
    abortOnError: false,
    forceCloseConnections: true,
  })
}

/** A route for cases that are the same in every framework, so that they need no controller of their own. */
export interface PlainRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  /** Options for `@Dspinlock()`; left out, only the app-wide interceptor guards the route. */
  readonly options?: RouteOptions<never, never>
  /** Its result is the response's body; `response` is the platform's, and has `status` and `header` on both. */
  readonly handler: (request: PlainRequest, response: PlainResponse) => unknown
}

export interface PlainRequest {
  readonly headers: Record<string, string | undefined>
  readonly body?: unknown
  readonly query?: unknown
}

export interface PlainResponse {
  status(code: number): unknown
  header(name: string, value: string): unknown
}

/** Starts an application with these options for the module, an interceptor for all routes, and these routes. */
export function startRoutes(
  platform: Platform,
  options: DspinlockOptions<never, never>,
  routes: readonly PlainRoute[],
): Promise<NestServer> {
  class PlainController {}
  Controller()(PlainController)
  for (const [at, { method, path, options: own, handler }] of routes.entries()) {
    const name = `route${at}`
    const value = (request: PlainRequest, response: PlainResponse): unknown => handler(request, response)
    const descriptor: PropertyDescriptor = { value, configurable: true, enumerable: false, writable: true }
    Object.defineProperty(PlainController.prototype, name, descriptor)
    Req()(PlainController.prototype, name, 0)
    Res({ passthrough: true })(PlainController.prototype, name, 1)
    RequestMapping({ method: RequestMethod[method], path })(PlainController.prototype, name, descriptor)
    if (own !== undefined) Dspinlock<never, never>(own)(PlainController.prototype, name, descriptor)
  }
  return startNest(platform, {
    imports: [DspinlockModule.forRoot<never, never>(options)],
    controllers: [PlainController],
    providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
  })
}
