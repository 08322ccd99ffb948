// Nest applications on both platforms, for tests: whatever version of Nest is nearest to this file.

import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { type INestApplication, Module, type ModuleMetadata } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { type Answer, type Ask, send } from './http.js'

const { version } = createRequire(import.meta.url)('@nestjs/core/package.json') as { version: string }

/** 11 or 12. */
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
