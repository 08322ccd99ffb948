// The app: payments, and what they come to.

import { setTimeout as wait } from 'node:timers/promises'
import { dspinlock, type Store } from '@dspinlock/express'
import express, { type Express, type Request } from 'express'
import { Ledger } from './ledger.js'

export interface PaymentsApp {
  readonly app: Express
  /** Refuses newcomers and lets whoever runs finish. */
  readonly close: () => Promise<void>
}

export function makeApp(store: Store, bankMs: number = 200): PaymentsApp {
  const ledger = new Ledger()
  const userOf = (req: Request): string => req.get('Authorization') ?? 'nobody'

  // Each payment has a key of its client's, so that a retry is told what came of it instead of paying again.
  const once = dspinlock({ store, idempotencyKey: 'required', whileInFlight: 'reject', identity: userOf })
  const shared = dspinlock({ store, duplicates: 'replay', identity: userOf })

  const app = express()
  app.use(express.json())
  app.post('/payments', once, async (req, res) => {
    const { to, amount } = (req.body ?? {}) as { to?: unknown; amount?: unknown }
    if (typeof to !== 'string' || typeof amount !== 'number' || amount <= 0) {
      res.status(400).json({ error: 'to and a positive amount are needed' })
      return
    }
    const lock = req.dspinlock
    // Ends early if the lock is lost; then somebody else may be at it.
    await wait(bankMs, undefined, lock?.signal === undefined ? {} : { signal: lock.signal })
    ledger.book({ from: userOf(req), to, amount }, lock?.key ?? '', lock?.fence ?? 0)
    res.status(201).json({ to, amount, balance: ledger.balanceOf(userOf(req)) })
  })
  app.get('/account', shared, async (req, res) => {
    await wait(bankMs)
    res.json({ user: userOf(req), balance: ledger.balanceOf(userOf(req)) })
  })
  return { app, close: async () => void (await Promise.all([once.close(), shared.close()])) }
}
