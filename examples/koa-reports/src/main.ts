// Starts the app on PORT, and stops it in good order.

import { memoryStore } from '@dspinlock/koa'
import { redisStore } from '@dspinlock/redis'
import { makeApp } from './app.js'

const url = process.env['REDIS_URL']
const store = url === undefined ? memoryStore() : redisStore(url)
const { app, close } = makeApp(store)

const server = app.listen(Number(process.env['PORT'] ?? 3_000), () => {
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : address
  console.log(`listening on http://localhost:${port}, with claims and records in ${store.name}`)
})

async function stop(): Promise<void> {
  server.close()
  await close()
  await store.close()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop())
