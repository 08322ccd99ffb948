// A server process of the crash test: its handler never answers.

import { dspinlock } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import express from 'express'

const app = express()
app.get('/work', dspinlock({ store: redisStore(process.env['TEST_REDIS_URL'] ?? ''), leaseMs: 500 }), () => {
  process.send?.('running')
})
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.send?.(address.port)
})
