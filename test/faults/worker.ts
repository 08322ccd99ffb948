// A server process of the tests over several processes: a slow handler under each policy, on the shared Redis.

import { dspinlock } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import express from 'express'

const store = redisStore(process.env['TEST_REDIS_URL'] ?? '')
const app = express()
app.use(express.json())
for (const duplicates of ['serialise', 'replay', 'reject'] as const) {
  const ttl = duplicates === 'serialise' ? {} : { ttlMs: 10_000 }
  app.all(`/${duplicates}`, dspinlock({ store, duplicates, ...ttl }), (_req, res) => {
    // All processes of one machine have the same clock.
    const from = String(process.hrtime.bigint())
    setTimeout(
      () => res.json({ from, to: String(process.hrtime.bigint()), by: process.pid }),
      duplicates === 'serialise' ? 20 : 100,
    )
  })
}
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.send?.(address.port)
})
process.once('disconnect', () => process.exit())
