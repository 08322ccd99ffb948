// What listening costs: the same guarded app with a listener on its channels, and without one.

import { type Comparison, compareServers } from '../harness/compare-servers.js'
import type { Part } from '../harness/context.js'
import { Remote } from '../harness/remote.js'
import type { ServerSpec } from '../servers/spec.js'

const listeners = [
  { listener: undefined, title: 'nobody against nobody (noise)' },
  { listener: 'channels', title: 'subscribers that do nothing' },
  { listener: 'prometheus', title: '@dspinlock/prometheus' },
  { listener: 'opentelemetry', title: '@dspinlock/opentelemetry, spans and metrics, exported to nowhere' },
  { listener: 'log', title: 'attachStructuredLogger, JSON to nowhere' },
] as const

export const diagnostics: Part = {
  name: 'diagnostics',
  about: 'listeners of the tracing channels against none',
  packages: ['@dspinlock/http', '@dspinlock/express', '@dspinlock/prometheus', '@dspinlock/opentelemetry', 'express'],
  async measure(context) {
    const load = Remote.start('load/main.js', undefined)
    try {
      for (const { listener, title } of listeners) {
        const baseline: ServerSpec = {
          framework: 'express',
          redisUrl: context.redis.url,
          guard: {
            by: 'dspinlock',
            store: 'memory',
            place: 'route',
            options: { duplicates: 'replay', ttlMs: 60_000 },
          },
        }
        const comparison: Comparison = {
          id: `diagnostics.${listener ?? 'noise'}`,
          title,
          group: 'Express with dspinlock, unique keys, memory: somebody who listens',
          baselineTitle: 'nobody listens',
          baseline,
          subject: listener === undefined ? baseline : { ...baseline, listener },
          shape: { method: 'POST', path: '/orders', bodyBytes: 256 },
          status: 200,
          requests: 3_000,
          connections: 32,
          warmUp: 30_000,
          takes: 'rate',
          reachHandler: 'all',
        }
        await compareServers(context, load, comparison)
      }
    } finally {
      await load.stop()
    }
  },
}
