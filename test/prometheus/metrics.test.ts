// Metrics for Prometheus, scraped from a real /metrics route.

import { tracing } from '@dspinlock/core'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import { expect } from 'chai'
import express from 'express'
import { Counter, Registry } from 'prom-client'
import { serve, type TestServer } from '../support/http.js'
import { useEverything } from '../support/measured.js'

describe('metrics for Prometheus', () => {
  const register = new Registry()
  let server: TestServer
  let during = ''
  let scraped = ''

  before(async () => {
    const stop = dspinlockMetrics(register)
    const app = express()
    app.get('/metrics', (_req, res, next) => {
      register.metrics().then(text => void res.type(register.contentType).send(text), next)
    })
    server = await serve(app)
    await useEverything(async () => {
      during = (await server.ask('/metrics')).body
    })
    scraped = (await server.ask('/metrics')).body
    stop()
  })
  after(() => server.stop())

  /** The line of a metric with these labels, in any order. */
  const valueOf = (text: string, name: string, labels: Record<string, string>): number | undefined => {
    const line = text.split('\n').find(candidate => {
      if (!candidate.startsWith(`${name}{`)) return false
      const found = candidate.slice(name.length + 1, candidate.lastIndexOf('}'))
      return Object.entries(labels).every(([label, value]) => found.includes(`${label}="${value}"`))
    })
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(' ') + 1))
  }

  it('requests by outcome', () => {
    const report = { method: 'GET', route: '/reports/:id' }
    for (const outcome of ['run', 'collapsed', 'replayed']) {
      expect(valueOf(scraped, 'dspinlock_requests_total', { outcome, ...report }), outcome).to.equal(1)
    }
    const refusal = { outcome: 'refused', code: 'settled', method: 'POST', route: '/pay' }
    expect(valueOf(scraped, 'dspinlock_requests_total', refusal)).to.equal(1)
  })

  it('what is active', () => {
    for (const name of ['dspinlock_holds_active', 'dspinlock_waiters_active']) {
      expect(valueOf(during, name, { route: '/reports/:id' }), name).to.equal(1)
      expect(valueOf(scraped, name, { route: '/reports/:id' }), name).to.equal(0)
    }
  })

  it('times, sizes, losses and errors', () => {
    const counts = [
      ['dspinlock_wait_duration_seconds_count', { role: 'follower', route: '/reports/:id' }],
      ['dspinlock_hold_duration_seconds_count', { how: 'settled', route: '/reports/:id' }],
      ['dspinlock_hold_duration_seconds_count', { how: 'lost', route: 'job' }],
      ['dspinlock_settle_duration_seconds_count', { how: 'settled', route: '/pay' }],
      ['dspinlock_records_size_bytes_count', { route: '/reports/:id' }],
      ['dspinlock_leases_lost_total', { reason: 'lease', route: 'job' }],
      ['dspinlock_store_errors_total', { source: 'core', operation: 'claim' }],
    ] as const
    for (const [name, labels] of counts) expect(valueOf(scraped, name, labels), name).to.equal(1)
    expect(valueOf(scraped, 'dspinlock_hold_duration_seconds_sum', { how: 'settled' })).to.be.within(0, 10)
  })

  it('never a key, header, body or path', () => {
    expect(scraped)
      .to.include('# HELP dspinlock_requests_total')
      .and.not.match(/secret/)
  })

  it('stopping removes them, and what feeds them, so that it can be called again', async () => {
    expect(await register.metrics()).to.not.match(/dspinlock/)
    expect(tracing.hold.hasSubscribers).to.equal(false)
    const stop = dspinlockMetrics(register)
    expect(() => dspinlockMetrics(register)).to.throw(/already been registered/)
    stop()
    expect(await register.metrics()).to.not.match(/dspinlock/)
  })

  it('where one of the names is taken, none of them is left behind, and the other stays', async () => {
    const other = new Registry()
    new Counter({ name: 'dspinlock_store_errors_total', help: 'mine', registers: [other] }).inc(7)
    expect(() => dspinlockMetrics(other)).to.throw(/already been registered/)
    expect(await other.metrics())
      .to.match(/dspinlock_store_errors_total 7/)
      .and.not.match(/dspinlock_requests/)
  })

  it('something that is no registry is refused at once', () => {
    expect(() => dspinlockMetrics({} as never)).to.throw(
      TypeError,
      "a registry of prom-client, for example its own 'register'",
    )
  })
})
