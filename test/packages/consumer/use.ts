// A program as users write it, with one part for each package. It is compiled and run where only the tarballs are installed.

import 'reflect-metadata'
import { once } from 'node:events'
import { createServer, get, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { HashDSpinlock, LockEngine, memoryStore } from '@dspinlock/core'
import { storeContract } from '@dspinlock/core/store-contract'
import { dspinlock } from '@dspinlock/express'
import { createGuard } from '@dspinlock/http'
import { dspinlock as dspinlockOfKoa } from '@dspinlock/koa'
import { Dspinlock, DspinlockModule } from '@dspinlock/nestjs'
import { instrumentDspinlock } from '@dspinlock/opentelemetry'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import { redisStore } from '@dspinlock/redis'
import { Controller, Get, Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import express from 'express'
import Koa from 'koa'
import { Registry } from 'prom-client'

let runs = 0

/** Long enough for a duplicate to arrive. */
const work = async (): Promise<string> => {
  runs++
  await new Promise(resolve => setTimeout(resolve, 50))
  return 'done'
}

const replay = { duplicates: 'replay' } as const

/** How often the handler ran, and the answers, for two requests at the same time. */
async function askTwice(port: number): Promise<string> {
  const before = runs
  const ask = async (): Promise<string> => {
    const [response] = (await once(get({ host: '127.0.0.1', port, agent: false }), 'response')) as [
      NodeJS.ReadableStream,
    ]
    return text(response)
  }
  const answers = await Promise.all([ask(), ask()])
  return `${runs - before} run: ${answers.join(', ')}`
}

async function askServer(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answer = await askTwice((server.address() as AddressInfo).port)
  server.close()
  return answer
}

const metrics = new Registry()

const uses: Record<string, () => Promise<string>> = {
  prometheus: async () => {
    dspinlockMetrics(metrics)
    return 'attached'
  },
  opentelemetry: async () => {
    instrumentDspinlock()()
    return 'attached and detached'
  },
  core: async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const before = runs
    const answers = await Promise.all([engine.run('key', work, replay), engine.run('key', work, replay)])
    const locked = await new HashDSpinlock({ any: 'value' }, { store: memoryStore() }).run(async () => 'locked')
    return `${runs - before} run: ${answers.join(', ')}; ${locked}; ${typeof storeContract}`
  },
  http: async () => {
    const guard = createGuard(replay)
    return askServer((req, res) => {
      const proceed = (): void => void work().then(answer => res.end(answer))
      const fail = (error?: unknown): void => void res.writeHead(500).end(String(error))
      const url = req.url ?? '/'
      const expose = (): void => {}
      const body = { isParsed: false, parsedBody: undefined }
      const exchange = { req, res, request: req, response: res, url, onRoute: true, expose, proceed, fail }
      void guard.handle({ ...exchange, ...body })
    })
  },
  express: async () => {
    const app = express()
    app.get('/', dspinlock(replay), (_req, res) => void work().then(answer => res.send(answer)))
    return askServer(app)
  },
  koa: async () => {
    const app = new Koa()
    app.use(dspinlockOfKoa({ ...replay, methods: ['GET'] }))
    app.use(async ctx => {
      ctx.body = await work()
    })
    const listener = app.callback()
    return askServer((req, res) => void listener(req, res))
  },
  nestjs: async () => {
    const app = await NestFactory.create(AppModule, { logger: false })
    await app.listen(0, '127.0.0.1')
    const answer = await askTwice((app.getHttpServer().address() as AddressInfo).port)
    await app.close()
    return answer
  },
  redis: async () => {
    const store = redisStore(process.env['TEST_REDIS_URL'] ?? 'redis://127.0.0.1:6379', {
      prefix: `use-${process.pid}`,
    })
    const engine = new LockEngine({ store })
    const before = runs
    const answers = await Promise.all([engine.run('key', work, replay), engine.run('key', work, replay)])
    await engine.close()
    await store.close()
    return `${runs - before} run: ${answers.join(', ')}`
  },
}

@Controller()
class Reports {
  @Get() @Dspinlock(replay) report(): Promise<string> {
    return work()
  }
}

@Module({ imports: [DspinlockModule.forRoot()], controllers: [Reports] })
class AppModule {}

async function main(): Promise<void> {
  const answers: Record<string, string> = {}
  for (const [name, use] of Object.entries(uses)) answers[name] = await use()
  const counted = (await metrics.metrics()).includes('dspinlock_requests_total{outcome="collapsed"')
  console.log(JSON.stringify({ ...answers, counted }))
}

void main()
