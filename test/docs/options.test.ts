// The table of options says what the types say.

import { readFileSync } from 'node:fs'
import { LockEngine, memoryStore, Policy } from '@dspinlock/core'
import { guard } from '@dspinlock/http'
import { expect } from 'chai'
import { serve } from '../support/http.js'
import { optionsPage, renewOptionsPage } from './options-table.js'
import { top } from './pages.js'

describe('the table of options', () => {
  it('is current; if not: npm run docs:options', () => {
    expect(readFileSync(new URL(optionsPage, top), 'utf8')).to.equal(renewOptionsPage())
  })

  it('tells the default of a middleware where it is another than that of the engine', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    let ofMiddleware = 0
    // A middleware's settings show only in what it asks of its engine.
    engine.enterAtOnce = (_key, { maxHoldMs }) => {
      ofMiddleware = maxHoldMs
      return undefined
    }
    const server = await serve(guard((_req, res) => void res.end(), { engine }))
    await server.ask('/', { method: 'POST' })
    await server.stop()
    const row = renewOptionsPage()
      .split('\n')
      .find(line => line.startsWith('| `maxHoldMs` | middleware'))
    for (const ms of [new Policy().maxHoldMs, ofMiddleware])
      expect(row).to.include(`${ms / 1_000} 000`.replace(/^1800 /, '1 800 '))
  })

  it('has every option of the middleware', () => {
    const rows = renewOptionsPage().split('\n')
    for (const name of ['duplicates', 'ttlMs', 'store', 'identity', 'idempotencyKey', 'onStoreError', 'maxBodyBytes']) {
      expect(rows.filter(row => row.startsWith(`| \`${name}\` |`)).length, name).to.be.above(0)
    }
  })
})
