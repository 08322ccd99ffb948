// Requests with larger and larger bodies, compared as parsed values and as raw bytes.

import { compareServers } from '../harness/compare-servers.js'
import type { Context } from '../harness/context.js'
import type { Remote } from '../harness/remote.js'
import type { ServerSpec } from '../servers/spec.js'

const MAX_BODY_BYTES = 16 * 1024 * 1024

const sizes = [
  { name: '1 KiB', id: '1k', bytes: 1024, requests: 2_000, warmUp: 30_000, connections: 32 },
  { name: '100 KiB', id: '100k', bytes: 100 * 1024, requests: 250, warmUp: 600, connections: 16 },
  { name: '10 MiB', id: '10m', bytes: 10 * 1024 * 1024, requests: 4, warmUp: 10, connections: 2 },
] as const

const places = [
  { place: 'route', title: 'behind the body parser: its canonical form is hashed' },
  { place: 'before-parser', title: 'before the body parser: its bytes are hashed' },
] as const

export async function compareBodies(context: Context, load: Remote): Promise<void> {
  for (const { place, title } of places) {
    for (const { name, id, bytes, ...order } of sizes) {
      const baseline: ServerSpec = { framework: 'express', redisUrl: context.redis.url, maxBodyBytes: MAX_BODY_BYTES }
      const options = { duplicates: 'replay', ttlMs: 60_000, maxBodyBytes: MAX_BODY_BYTES }
      await compareServers(context, load, {
        ...order,
        id: `scale.body.${place}.${id}`,
        title: `${name}, ${title}`,
        group: 'Express, memory, unique keys: size of the body',
        baselineTitle: 'bare express, the same body',
        baseline,
        subject: { ...baseline, guard: { by: 'dspinlock', store: 'memory', place, options } },
        shape: { method: 'POST', path: '/orders', bodyBytes: bytes },
        status: 200,
        takes: 'rate',
        reachHandler: 'all',
      })
    }
  }
}
