// Creates the instruments, and feeds each measurement to its instrument.

import {
  type HistogramSpec,
  type Labels,
  type MeasurementSink,
  type MetricSpec,
  metricSpecs,
} from '@dspinlock/http/support'
import type { Attributes, Meter } from '@opentelemetry/api'

export function meterSink(meter: Meter): MeasurementSink {
  const counter = (name: string, unit: string, { help: description }: MetricSpec) =>
    meter.createCounter(name, { description, unit })
  const upDown = (name: string, unit: string, { help: description }: MetricSpec) =>
    meter.createUpDownCounter(name, { description, unit })
  const histogram = (name: string, unit: string, spec: HistogramSpec) =>
    meter.createHistogram(name, {
      description: spec.help,
      unit,
      advice: { explicitBucketBoundaries: [...spec.buckets] },
    })
  const requests = counter('dspinlock.requests', '{request}', metricSpecs.requests)
  const waits = histogram('dspinlock.wait.duration', 's', metricSpecs.waits)
  const held = histogram('dspinlock.hold.duration', 's', metricSpecs.holds)
  const settles = histogram('dspinlock.settle.duration', 's', metricSpecs.settles)
  const holds = upDown('dspinlock.holds.active', '{hold}', metricSpecs.activeHolds)
  const waiters = upDown('dspinlock.waiters.active', '{caller}', metricSpecs.activeWaiters)
  const lost = counter('dspinlock.leases.lost', '{hold}', metricSpecs.lostLeases)
  const sizes = histogram('dspinlock.records.size', 'By', metricSpecs.sizes)
  const errors = counter('dspinlock.store.errors', '{error}', metricSpecs.storeErrors)
  return {
    countRequest: labels => requests.add(1, attributesOf(labels)),
    recordWait: (seconds, labels) => waits.record(seconds, attributesOf(labels)),
    recordHold: (seconds, labels) => held.record(seconds, attributesOf(labels)),
    recordSettle: (seconds, labels) => settles.record(seconds, attributesOf(labels)),
    recordSize: (bytes, labels) => sizes.record(bytes, attributesOf(labels)),
    addHolds: (change, labels) => holds.add(change, attributesOf(labels)),
    addWaiters: (change, labels) => waiters.add(change, attributesOf(labels)),
    countLostLease: labels => lost.add(1, attributesOf(labels)),
    countStoreError: labels => errors.add(1, attributesOf(labels)),
  }
}

/** Leaves out empty attributes. */
function attributesOf(labels: Labels): Attributes {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
}
