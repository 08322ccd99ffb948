// Starts the app on PORT, and stops it in good order.

import { memoryStore } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { makeApp } from './app.js'
import { observe } from './observability.js'

const url = process.env['REDIS_URL']
const store = url === undefined ? memoryStore() : redisStore(url)
const { log, metrics } = observe(process.env['LOG_LEVEL'] ?? 'info')
const { app, close } = makeApp(store)
app.get('/metrics', metrics)

const server = app.listen(Number(process.env['PORT'] ?? 3_000), () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : address
  log.info(`listening on http://localhost:${port}, with claims and records in ${store.name}`)
})

async function stop(): Promise<void> {
  server.close()
  await close()
  await store.close()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
