// A worker of a cluster that makes one mistake after another, each next to the same done right, and tells what it was warned of.

import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { dspinlock, LockEngine, memoryStore } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import express, { type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import { json, serve } from '../support/http.js'

const url = process.argv[2] ?? ''
const prefix = `warnings-${process.pid}`
const warned: string[] = []
process.on('warning', ({ name, message, ...more }) => {
  const { code, detail } = more as { readonly code?: string; readonly detail?: string }
  warned.push(`${name} ${code ?? ''} ${detail ?? ''}: ${message}`)
})

const store = memoryStore()
const replay = { duplicates: 'replay', ttlMs: 60_000, store } as const
const app = express()
const answer: RequestHandler = (_req, res) => res.send('done')
const parse = express.json()
const drain: RequestHandler = (req, _res, next) => {
  req.resume().on('end', next)
}
const spoil: RequestHandler = (req, _res, next) => {
  Object.assign(req.body as object, { at: () => 1 })
  next()
}
const answerLater: RequestHandler = (_req, res) => {
  const begun = performance.now()
  while (performance.now() < begun + 2);
  res.send('done')
}
const vary: RequestHandler = (_req, res) => res.vary('X-Skin').send('done')

app.post('/once', dspinlock({ store }), answer)
const twice = dspinlock({ store })
app.post('/twice', twice, twice, answer)
app.post('/parsed', parse, dspinlock({ store }), answer)
app.post('/drained', drain, dspinlock({ store }), answer)
app.post('/spoilt', parse, spoil, dspinlock({ store }), answer)
app.post('/small', dspinlock({ store, maxBodyBytes: 100 }), answer)
app.post('/large', dspinlock({ store, maxBodyBytes: 1 }), answer)
app.post('/varied-in-key', dspinlock(replay), (_req, res) => res.vary('Host').send('done'))
app.post('/varied', dspinlock(replay), vary)
app.post('/room', dspinlock({ ...replay, store: memoryStore() }), answer)
app.post('/lasting', dspinlock({ ...replay, ttlMs: 1 }), answerLater)
app.post('/lasting-unkept', dspinlock({ ...replay, ttlMs: 0 }), answerLater)
app.post('/full', dspinlock({ ...replay, store: memoryStore({ maxBytes: 10 }) }), answer)
const server = await serve(app)

const ask = async (path: string, skin = 'dark'): Promise<void> => {
  await server.ask(path, json({ amount: 1 }, { 'x-skin': skin }))
}
const claim = async (plant: (redis: Redis) => Promise<unknown>): Promise<void> => {
  const redis = new Redis(url)
  await plant(redis)
  const known = redisStore(url, { prefix })
  const engine = new LockEngine({ store: known })
  await engine.run('key', () => {})
  await engine.close()
  await known.close()
  redis.disconnect()
}

const steps: readonly (readonly [string, () => unknown])[] = [
  ['memory that is asked for', () => dspinlock({ store: memoryStore() })],
  ['memory that is not', () => dspinlock()],
  ['one mount', () => ask('/once')],
  ['two mounts of one', () => ask('/twice')],
  ['a parsed body', () => ask('/parsed')],
  ['a body that was read', () => ask('/drained')],
  ['a body that cannot be compared', () => ask('/spoilt')],
  ['a small body', () => ask('/small')],
  ['a large body', () => ask('/large')],
  ['Vary: Host', async () => [await ask('/varied-in-key'), await ask('/varied-in-key', 'light')]],
  ['Vary: X-Skin', async () => [await ask('/varied'), await ask('/varied', 'light')]],
  ['work that only those in flight share', () => ask('/lasting-unkept')],
  ['work that takes longer than it is known', () => ask('/lasting')],
  ['room for a record', () => ask('/room')],
  ['no room for a record', () => ask('/full')],
  ['a key of our own', () => claim(async () => {})],
  ['data of others', () => claim(redis => redis.set(`${prefix}:{=key}`, 'x'))],
]

const told: Record<string, string[]> = {}
for (const [what, make] of steps) {
  // The second time, nothing is said any more.
  for (let n = 0; n < 2; n++) {
    await make()
    await setImmediate()
  }
  told[what] = warned.splice(0)
}
await server.stop()
process.send?.(told)
await once(process, 'disconnect')
