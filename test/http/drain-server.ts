// A server process that drains on SIGTERM, as docs/http.md shows: newcomers are refused, holders finish, then it exits by itself.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dspinlock, memoryStore } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import express from 'express'

const url = process.argv[2]
const store = url === undefined ? memoryStore() : redisStore(url)
const guard = dspinlock({ store, duplicates: 'replay' })
const app = express()
app.post('/', guard, (_req, res) => {
  process.send?.('running')
  // Resolved when the test says so.
  process.once('message', () => res.send('done'))
})
const server = createServer(app).listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))

process.once('SIGTERM', () => {
  const closed = guard.close()
  process.send?.('draining')
  void closed.then(async () => {
    process.send?.('drained')
    await new Promise(resolve => {
      server.close(resolve)
      server.closeIdleConnections()
    })
    await store.close()
    process.disconnect()
  })
})
