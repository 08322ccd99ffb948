// Metrics with the real SDK: every instrument with its unit, its values and its attributes, none of which names a key.

import { LockEngine, memoryStore, tracing } from '@dspinlock/core'
import { instrumentDspinlock } from '@dspinlock/opentelemetry'
import {
  AggregationTemporality,
  type DataPoint,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'
import { until } from '../support/http.js'
import { useEverything } from '../support/measured.js'

type Point = DataPoint<number | Histogram>

describe('metrics', () => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  let during: ReadonlyMap<string, MetricData>
  let after_: ReadonlyMap<string, MetricData>

  const collect = async (): Promise<ReadonlyMap<string, MetricData>> => {
    exporter.reset()
    await reader.forceFlush()
    const all = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(scope => scope.metrics))
    return new Map(all.map(metric => [metric.descriptor.name, metric]))
  }
  const points = (of: ReadonlyMap<string, MetricData>, name: string): (readonly [number, object])[] =>
    ((of.get(name)?.dataPoints ?? []) as Point[]).map(({ value, attributes }) => [
      typeof value === 'number' ? value : value.count,
      attributes,
    ])

  before(async () => {
    const stop = instrumentDspinlock({ tracerProvider: false, meterProvider: provider })
    await useEverything(async () => {
      during = await collect()
    })
    stop()
    await useEverything(async () => {})
    after_ = await collect()
  })
  after(() => provider.shutdown())

  it('requests by outcome, code, method and route, and none after it was stopped', () => {
    const report = { method: 'GET', route: '/reports/:id' }
    const pay = { method: 'POST', route: '/pay' }
    expect(points(after_, 'dspinlock.requests')).to.have.deep.members([
      [1, { outcome: 'run', ...report }],
      [1, { outcome: 'collapsed', ...report }],
      [1, { outcome: 'replayed', ...report }],
      [1, { outcome: 'run', ...pay }],
      [1, { outcome: 'refused', code: 'settled', ...pay }],
    ])
  })

  it('what is active goes up and down', () => {
    const route = '/reports/:id'
    expect(points(during, 'dspinlock.holds.active')).to.deep.equal([[1, { route }]])
    expect(points(during, 'dspinlock.waiters.active')).to.deep.equal([[1, { route }]])
    for (const name of ['dspinlock.holds.active', 'dspinlock.waiters.active']) {
      for (const [value] of points(after_, name)) expect(value, name).to.equal(0)
    }
  })

  it('stopped in between, what is active has gone down all the same, and counts right when started again', async () => {
    const start = (): (() => void) => instrumentDspinlock({ tracerProvider: false, meterProvider: provider })
    const engine = new LockEngine({ store: memoryStore() })
    const route = { route: 'in between' }
    const active = async (): Promise<unknown[]> => {
      const now = await collect()
      const of = (name: string): unknown =>
        points(now, name).find(([, attributes]) => (attributes as typeof route).route === route.route)?.[0]
      return [of('dspinlock.holds.active'), of('dspinlock.waiters.active')]
    }
    const stop = start()
    const hold = holdOf(await engine.enter('key', { label: route.route }))
    const waiting = engine.enter('key', { label: route.route })
    await until(() => engine.waiters === 1, 'it waits')
    expect(await active()).to.deep.equal([1, 1])
    stop()
    await hold.release()
    const next = holdOf(await waiting)
    expect(await active()).to.deep.equal([0, 0])
    const stopAgain = start()
    await next.release()
    const last = holdOf(await engine.enter('key', { label: route.route }))
    expect(await active()).to.deep.equal([1, 0])
    await last.release()
    stopAgain()
    expect([await active(), tracing.hold.hasSubscribers]).to.deep.equal([[0, 0], false])
  })

  it('times, in seconds', () => {
    const route = '/reports/:id'
    expect(points(after_, 'dspinlock.wait.duration')).to.have.deep.members([
      [1, { role: 'follower', route }],
      [1, { role: 'failed', route: 'job' }],
    ])
    expect(points(after_, 'dspinlock.hold.duration')).to.have.deep.members([
      [1, { how: 'settled', route }],
      [1, { how: 'settled', route: '/pay' }],
      [1, { how: 'lost', route: 'job' }],
    ])
    expect(points(after_, 'dspinlock.settle.duration')).to.have.deep.members([
      [1, { how: 'settled', route }],
      [1, { how: 'settled', route: '/pay' }],
    ])
    for (const name of ['wait', 'hold', 'settle']) {
      const metric = after_.get(`dspinlock.${name}.duration`)
      expect(metric?.descriptor.unit).to.equal('s')
      for (const { value } of (metric?.dataPoints ?? []) as DataPoint<Histogram>[]) {
        expect(value.sum).to.be.within(0, 10)
        expect(value.buckets.boundaries).to.include.members([0.001, 1, 300])
      }
    }
  })

  it('records, lost leases and errors of the store', () => {
    expect(points(after_, 'dspinlock.records.size')).to.have.deep.members([
      [1, { route: '/reports/:id' }],
      [1, { route: '/pay' }],
    ])
    expect(after_.get('dspinlock.records.size')?.descriptor.unit).to.equal('By')
    expect(points(after_, 'dspinlock.leases.lost')).to.deep.equal([[1, { reason: 'lease', route: 'job' }]])
    // Connections that other tests cut may still report trouble.
    expect(points(after_, 'dspinlock.store.errors')).to.deep.include([1, { source: 'core', operation: 'claim' }])
  })

  it('never a key, header, body or path', () => {
    expect(JSON.stringify([...after_.values()])).to.not.match(/secret/)
  })
})
