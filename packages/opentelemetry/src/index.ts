// dspinlock on OpenTelemetry: subscribes to the diagnostics channels, and makes spans and metrics of what they publish.

import { type OptionReader, optional, parseOptions } from '@dspinlock/core/support'
import { measure } from '@dspinlock/http/support'
import { type MeterProvider, metrics, type TracerProvider, trace } from '@opentelemetry/api'
import { meterSink } from './metrics.js'
import { makeSpans } from './spans.js'

export interface InstrumentOptions {
  /** Makes the spans; `false`: no spans. Default: the global provider. */
  readonly tracerProvider?: TracerProvider | false
  /** Makes the instruments; `false`: no metrics. Default: the global provider, which has to be registered before this call. */
  readonly meterProvider?: MeterProvider | false
}

const NAME = '@dspinlock/opentelemetry'

const shape = {
  tracerProvider: readProvider<TracerProvider>('getTracer'),
  meterProvider: readProvider<MeterProvider>('getMeter'),
} as const

/**
 * Makes spans and metrics of all that dspinlock does in this process, until the returned function is called. Operations that have begun by
 * then are followed to their end. Call it once, after the SDK was started.
 * @throws TypeError naming option and value for wrong options.
 */
export function instrumentDspinlock(options?: InstrumentOptions): () => void {
  const { tracerProvider, meterProvider } = parseOptions('instrumentDspinlock', options, shape)
  const tracer = tracerProvider === false ? undefined : (tracerProvider ?? trace).getTracer(NAME)
  const meter = meterProvider === false ? undefined : (meterProvider ?? metrics).getMeter(NAME)
  const stops = [
    ...(tracer === undefined ? [] : [makeSpans(tracer)]),
    ...(meter === undefined ? [] : [measure(meterSink(meter))]),
  ]
  return () => {
    for (const stop of stops.splice(0)) stop()
  }
}

function readProvider<T>(method: string): OptionReader<T | false | undefined> {
  return optional(`an object with ${method}(), or false`, (given): given is T | false => {
    if (given === false) return true
    return (
      typeof given === 'object' && given !== null && typeof (given as Record<string, unknown>)[method] === 'function'
    )
  })
}
