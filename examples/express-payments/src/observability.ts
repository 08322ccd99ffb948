// What the service tells about itself: a log by pino, and metrics for Prometheus. Neither names a payer or a payment.

import { attachStructuredLogger } from '@dspinlock/express'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import type { RequestHandler } from 'express'
import { type Logger, pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'

export interface Observability {
  readonly log: Logger
  /** For Prometheus to scrape. */
  readonly metrics: RequestHandler
}

/** `level`: `info` tells of what failed and was forgotten, `debug` of each time a key is entered and left. */
export function observe(level: string): Observability {
  const log = pino({ level })
  attachStructuredLogger(log.child({ module: 'dspinlock' }))
  const register = new Registry()
  collectDefaultMetrics({ register })
  dspinlockMetrics(register)
  const metrics: RequestHandler = (_req, res, next) => {
    register.metrics().then(text => void res.type(register.contentType).send(text), next)
  }
  return { log, metrics }
}
