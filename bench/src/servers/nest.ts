// The Nest app under measurement, on Express, bare or with dspinlock on its route.

import 'reflect-metadata'
import type { RequestListener } from 'node:http'
import { Dspinlock, DspinlockModule } from '@dspinlock/nestjs'
import { Body, Controller, Module, Post } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import { makeAnswer, runs } from './answers.js'
import { openStore } from './own-store.js'
import type { ServerSpec } from './spec.js'

@Controller('orders')
class Orders {
  @Post()
  create(@Body() body: { order: string }): object {
    runs.count++
    return makeAnswer(body.order)
  }
}

@Controller('orders')
@Dspinlock()
class GuardedOrders {
  @Post()
  create(@Body() body: { order: string }): object {
    runs.count++
    return makeAnswer(body.order)
  }
}

export async function makeNestListener({ guard, redisUrl }: ServerSpec): Promise<RequestListener> {
  if (guard !== undefined && !('place' in guard)) throw new Error(`${guard.by} is not mounted in Nest`)
  const imports =
    guard === undefined ? [] : [DspinlockModule.forRoot({ ...guard.options, store: await openStore(guard, redisUrl) })]

  @Module({ imports, controllers: [guard === undefined ? Orders : GuardedOrders] })
  class App {}

  const app = await NestFactory.create<NestExpressApplication>(App, { logger: false })
  await app.init()
  return app.getHttpAdapter().getInstance() as RequestListener
}
