// The Grafana dashboard asks only for metrics and labels that exist.

import { readFileSync } from 'node:fs'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import { expect } from 'chai'
import { Registry } from 'prom-client'
import { useEverything } from '../support/measured.js'

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[]
  readonly templating: { readonly list: readonly { readonly query?: string | { readonly query: string } }[] }
}

const dashboard = JSON.parse(
  readFileSync(new URL('../../../docs/grafana-dashboard.json', import.meta.url), 'utf8'),
) as Dashboard

describe('the Grafana dashboard', () => {
  /** Names of samples as Prometheus stores them, each with its labels. */
  const samples = new Map<string, Set<string>>()

  before(async () => {
    const register = new Registry()
    const stop = dspinlockMetrics(register)
    await useEverything(async () => {})
    for (const line of (await register.metrics()).split('\n')) {
      const match = /^(\w+)\{(.*)\} /.exec(line)
      if (match === null) continue
      const labels = [...(match[2] ?? '').matchAll(/(\w+)="/g)].map(([, label]) => label ?? '')
      samples.set(match[1] ?? '', new Set(labels))
    }
    stop()
  })

  it('every query names a metric, by labels that it has', () => {
    const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))
    expect(expressions).to.have.length.above(15)
    for (const expr of expressions) {
      const names = [...expr.matchAll(/dspinlock_\w+/g)].map(([name]) => name)
      expect(names, expr).to.not.deep.equal([])
      for (const name of names) {
        const labels = samples.get(name)
        expect(labels, `${name} in ${expr}`).to.not.equal(undefined)
        const selected = [...expr.matchAll(/(\w+)=~?"/g)].map(([, label]) => label ?? '')
        const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list]) => (list ?? '').split(/, */))
        expect([...(labels ?? [])], expr).to.include.members([...new Set([...selected, ...grouped])])
      }
    }
  })

  it('every metric is shown', () => {
    const text = JSON.stringify(dashboard.panels)
    const metrics = new Set([...samples.keys()].map(name => name.replace(/_(bucket|sum|count)$/, '')))
    expect(metrics.size).to.equal(9)
    for (const name of metrics) expect(text).to.include(name)
  })
})
