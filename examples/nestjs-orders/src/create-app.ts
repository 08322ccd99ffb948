// One application, not yet listening; the tests start it, too.

import 'reflect-metadata'
import { type INestApplication, ValidationPipe } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { AppModule } from './app.module.js'

export async function createApp(options: { readonly quiet?: boolean } = {}): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule, options.quiet ? { logger: false } : {})
  app.useGlobalPipes(new ValidationPipe({ whitelist: true, transform: true }))
  // On SIGTERM, orders that are being taken are taken, and whoever waits is answered.
  app.enableShutdownHooks()
  return app
}
