// The app: reports that are slow to make, and sales that go into them.

import { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { dspinlock, type Store } from '@dspinlock/koa'
import { bodyParser } from '@koa/bodyparser'
import Router from '@koa/router'
import Koa from 'koa'
import compress from 'koa-compress'

export interface ReportsApp {
  readonly app: Koa
  /** Refuses newcomers and lets whoever runs finish. */
  readonly close: () => Promise<void>
}

export function makeApp(store: Store, reportMs: number = 400): ReportsApp {
  const sales = new Map<string, number[]>()
  let reports = 0

  const serialised = dspinlock({ store })
  // Everybody may see the same report, so whoever asks gets it.
  const shared = dspinlock({ store, duplicates: 'replay', ttlMs: 60_000, identity: 'public' })

  const router = new Router()
  router.get('/reports/:month.csv', shared, async ctx => {
    const lines = await readSales(ctx.params['month'])
    ctx.attachment(`${ctx.params['month']}.csv`)
    ctx.body = Readable.from(lines.map((amount, n) => `${n + 1},${amount}\n`))
  })
  router.get('/reports/:month', shared, async ctx => {
    const amounts = await readSales(ctx.params['month'])
    ctx.body = { report: ++reports, month: ctx.params['month'], total: amounts.reduce((sum, one) => sum + one, 0) }
  })
  router.post('/sales', ctx => {
    const { month, amount } = (ctx.request.body ?? {}) as { month?: unknown; amount?: unknown }
    if (typeof month !== 'string' || typeof amount !== 'number') {
      ctx.status = 400
      ctx.body = { error: 'month and amount are needed' }
      return
    }
    sales.set(month, [...(sales.get(month) ?? []), amount])
    ctx.status = 201
    ctx.body = { month, sales: sales.get(month)?.length, fence: ctx.state.dspinlock?.fence }
  })

  async function readSales(month: string | undefined): Promise<number[]> {
    await wait(reportMs)
    return sales.get(month ?? '') ?? []
  }

  const app = new Koa()
  // Outside: compresses what runs and what is replayed alike.
  app.use(compress({ threshold: 0 }))
  app.use(bodyParser())
  app.use(serialised)
  app.use(router.routes())
  return { app, close: async () => void (await Promise.all([serialised.close(), shared.close()])) }
}
