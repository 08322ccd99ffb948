// One server process of the demo: an Express app with a slow report and a payment under each policy.

import { dspinlock } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import express, { type Request, type Response } from 'express'
import { HANDLER_MS, type HandlerRun, SERIALISED_HANDLER_MS } from './scenario.js'

const store = process.env['REDIS_URL'] === undefined ? undefined : redisStore(process.env['REDIS_URL'])
const shared = store === undefined ? {} : { store }
const runs: HandlerRun[] = []

/** Takes its time and notes when it ran; the clock is the same in all processes of one machine. */
function slowly(ms: number) {
  return (req: Request, res: Response): void => {
    const startedAt = Number(process.hrtime.bigint() / 1_000n)
    setTimeout(() => {
      const run: HandlerRun = {
        what: `${req.method} ${req.originalUrl}`,
        startedAt,
        endedAt: Number(process.hrtime.bigint() / 1_000n),
      }
      runs.push(run)
      res.json({ answer: `${run.what} was done`, at: new Date().toISOString(), by: process.pid, run: runs.length })
    }, ms)
  }
}

const app = express()
app.use(express.json())
const replayed = dspinlock({ ...shared, duplicates: 'replay', ttlMs: 5_000 })
const rejected = dspinlock({ ...shared, duplicates: 'reject', ttlMs: 5_000 })
const serialised = dspinlock({ ...shared })
app.route('/replay').all(replayed, slowly(HANDLER_MS))
app.route('/reject').all(rejected, slowly(HANDLER_MS))
app.route('/serialise').all(serialised, slowly(SERIALISED_HANDLER_MS))
app.get('/runs', (_req, res) => {
  res.json(runs.splice(0))
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) process.send?.(address.port)
})

process.once('disconnect', () => {
  server.close()
  server.closeAllConnections()
  void Promise.all([replayed, rejected, serialised].map(guard => guard.close())).then(() => store?.close())
})
