// The possible listeners on dspinlock's diagnostics channels, for the servers under measurement.

import { Writable } from 'node:stream'
import { attachStructuredLogger, tracing } from '@dspinlock/core'
import { requestTracing } from '@dspinlock/http'
import { instrumentDspinlock } from '@dspinlock/opentelemetry'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, BatchSpanProcessor, InMemorySpanExporter } from '@opentelemetry/sdk-trace-base'
import { Registry } from 'prom-client'
import type { ServerSpec } from './spec.js'

const nothing = { start() {}, end() {}, asyncStart() {}, asyncEnd() {}, error() {} }

export function listenBy(listener: NonNullable<ServerSpec['listener']>): void {
  switch (listener) {
    case 'channels':
      for (const channel of [...Object.values(tracing), ...Object.values(requestTracing)]) channel.subscribe(nothing)
      return
    case 'prometheus':
      dspinlockMetrics(new Registry())
      return
    case 'opentelemetry': {
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
      // Spans are made, batched and dropped, because sending them is not dspinlock's cost.
      const exporter = new InMemorySpanExporter()
      exporter.export = (_spans, done) => done({ code: 0 })
      const tracerProvider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] })
      instrumentDspinlock({ tracerProvider, meterProvider: new MeterProvider() })
      return
    }
    case 'log': {
      const sink = new Writable({ write: (_chunk, _encoding, done) => done() })
      const write = (fields: object, message: string): void => {
        sink.write(`${JSON.stringify({ ...fields, message })}\n`)
      }
      attachStructuredLogger({ debug: write, info: write, warn: write })
    }
  }
}
