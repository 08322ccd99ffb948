// What metrics are measured on, in every metrics library: an app that does everything once, and the numbers that have to result.

import { LockEngine, memoryStore } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import express from 'express'
import { holdOf, storeWith } from './engine.js'
import { failure } from './failure.js'
import { Gate, serve, until } from './http.js'

/**
 * One run, one collapsed duplicate and one replay of GET /reports/:id; one run and one refusal of POST /pay; one hold of `job` that is lost, and
 * one call that waits for it in vain; one store that fails. `whileHeld` is called while a holder runs and a duplicate waits.
 */
export async function useEverything(whileHeld: () => Promise<void>): Promise<void> {
  const gate = new Gate()
  const store = memoryStore()
  const reports = dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 })
  const app = express()
  let runs = 0
  app.get('/reports/:id', reports, (_req, res) => {
    runs++
    void gate.opened.then(() => res.send('done'))
  })
  app.post('/pay', dspinlock({ store, duplicates: 'reject', ttlMs: 60_000 }), (_req, res) => void res.send('paid'))
  const server = await serve(app)
  const headers = { host: 'h', authorization: 'secret token' }
  const first = server.ask('/reports/secret-id', { headers })
  await until(() => runs === 1, 'the first runs')
  const second = server.ask('/reports/secret-id', { headers })
  await until(() => reports.engine.waiters === 1, 'the second waits')
  await whileHeld()
  gate.open()
  await Promise.all([first, second])
  await server.ask('/reports/secret-id', { headers })
  const body = 'secret body'
  for (let n = 0; n < 2; n++) await server.ask('/pay', { method: 'POST', headers, body })
  await server.stop()

  const engine = new LockEngine({ store })
  const hold = holdOf(await engine.enter('secret key', { label: 'job' }))
  await failure(engine.enter('secret key', { label: 'job', waitMs: 1 }))
  await engine.forget('secret key', hold.fence)

  const down = (): never => {
    throw new Error('down')
  }
  await failure(new LockEngine({ store: storeWith({ claim: down }) }).enter('secret key'))
}
