// Metrics of dspinlock for Prometheus: metrics of prom-client, fed from the diagnostics channels.

import { optionError } from '@dspinlock/core/support'
import {
  type HistogramSpec,
  type MeasurementSink,
  type MetricSpec,
  measure,
  metricSpecs,
} from '@dspinlock/http/support'
import { Counter, Gauge, Histogram, type Metric, type Registry } from 'prom-client'

/**
 * Registers metrics of all that dspinlock does in this process with `register`, and feeds them until the returned function is called,
 * which removes them again. Call it once for a registry.
 * @throws TypeError if `register` is no registry; prom-client's own error if the names are taken.
 */
export function dspinlockMetrics(register: Registry): () => void {
  if (typeof register?.registerMetric !== 'function') {
    throw optionError('register', register, "a registry of prom-client, for example its own 'register'")
  }
  const metrics = new Map<string, Metric>()
  const sink = makeSink(metrics)
  const names: string[] = []
  const remove = (): void => {
    for (const name of names.splice(0)) register.removeSingleMetric(name)
  }
  try {
    for (const [name, metric] of metrics) {
      register.registerMetric(metric)
      names.push(name)
    }
  } catch (error) {
    remove()
    throw error
  }
  const stop = measure(sink)
  return () => {
    stop()
    remove()
  }
}

function makeSink(metrics: Map<string, Metric>): MeasurementSink {
  const describe = (name: string, { help, labels }: MetricSpec) => ({
    name,
    help,
    labelNames: [...labels],
    registers: [],
  })
  const counter = (name: string, spec: MetricSpec): Counter => {
    const metric = new Counter(describe(name, spec))
    metrics.set(name, metric)
    return metric
  }
  const gauge = (name: string, spec: MetricSpec): Gauge => {
    const metric = new Gauge(describe(name, spec))
    metrics.set(name, metric)
    return metric
  }
  const histogram = (name: string, spec: HistogramSpec): Histogram => {
    const metric = new Histogram({ ...describe(name, spec), buckets: [...spec.buckets] })
    metrics.set(name, metric)
    return metric
  }

  const requests = counter('dspinlock_requests_total', metricSpecs.requests)
  const waits = histogram('dspinlock_wait_duration_seconds', metricSpecs.waits)
  const held = histogram('dspinlock_hold_duration_seconds', metricSpecs.holds)
  const settles = histogram('dspinlock_settle_duration_seconds', metricSpecs.settles)
  const sizes = histogram('dspinlock_records_size_bytes', metricSpecs.sizes)
  const holds = gauge('dspinlock_holds_active', metricSpecs.activeHolds)
  const waiters = gauge('dspinlock_waiters_active', metricSpecs.activeWaiters)
  const lost = counter('dspinlock_leases_lost_total', metricSpecs.lostLeases)
  const errors = counter('dspinlock_store_errors_total', metricSpecs.storeErrors)

  return {
    countRequest: labels => requests.inc(labels),
    recordWait: (seconds, labels) => waits.observe(labels, seconds),
    recordHold: (seconds, labels) => held.observe(labels, seconds),
    recordSettle: (seconds, labels) => settles.observe(labels, seconds),
    recordSize: (bytes, labels) => sizes.observe(labels, bytes),
    addHolds: (change, labels) => holds.inc(labels, change),
    addWaiters: (change, labels) => waiters.inc(labels, change),
    countLostLease: labels => lost.inc(labels),
    countStoreError: labels => errors.inc(labels),
  }
}
