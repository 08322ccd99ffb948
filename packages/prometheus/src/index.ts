// dspinlock in numbers for Prometheus: metrics of prom-client, fed from the diagnostics channels.

import { optionError } from '@dspinlock/core/support'
import {
  type HistogramSpec,
  type MeasurementSink,
  type MetricSpec,
  measure,
  metricSpecs,
} from '@dspinlock/http/support'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/**
 * Registers metrics of all that dspinlock does in this process with `register`, and feeds them until the function that is returned is
 * called, which removes them again. Call it once for a registry.
 * @throws TypeError for what is no registry; prom-client's own error where the names are taken.
 */
export function dspinlockMetrics(register: Registry): () => void {
  if (typeof register?.registerMetric !== 'function') {
    throw optionError('register', register, "a registry of prom-client, for example its own 'register'")
  }
  const names: string[] = []
  const stop = measure(makeSink(register, names))
  return () => {
    stop()
    for (const name of names.splice(0)) register.removeSingleMetric(name)
  }
}

function makeSink(register: Registry, names: string[]): MeasurementSink {
  const describe = (name: string, { help, labels }: MetricSpec) => {
    names.push(name)
    return { name, help, labelNames: [...labels], registers: [register] }
  }
  const requests = new Counter(describe('dspinlock_requests_total', metricSpecs.requests))
  const waits = histogram('dspinlock_wait_duration_seconds', metricSpecs.waits)
  const held = histogram('dspinlock_hold_duration_seconds', metricSpecs.holds)
  const settles = histogram('dspinlock_settle_duration_seconds', metricSpecs.settles)
  const sizes = histogram('dspinlock_records_size_bytes', metricSpecs.sizes)
  const holds = new Gauge(describe('dspinlock_holds_active', metricSpecs.activeHolds))
  const waiters = new Gauge(describe('dspinlock_waiters_active', metricSpecs.activeWaiters))
  const lost = new Counter(describe('dspinlock_leases_lost_total', metricSpecs.lostLeases))
  const errors = new Counter(describe('dspinlock_store_errors_total', metricSpecs.storeErrors))

  function histogram(name: string, spec: HistogramSpec) {
    return new Histogram({ ...describe(name, spec), buckets: [...spec.buckets] })
  }

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
