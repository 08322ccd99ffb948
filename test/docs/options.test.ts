// The table of options says what the types say.

import { readFileSync } from 'node:fs'
import { expect } from 'chai'
import { optionsPage, renewOptionsPage } from './options-table.js'
import { top } from './pages.js'

describe('the table of options', () => {
  it('is current; if not: npm run docs:options', () => {
    expect(readFileSync(new URL(optionsPage, top), 'utf8')).to.equal(renewOptionsPage())
  })

  it('has every option of the middleware', () => {
    const rows = renewOptionsPage().split('\n')
    for (const name of ['duplicates', 'ttlMs', 'store', 'identity', 'idempotencyKey', 'onStoreError', 'maxBodyBytes']) {
      expect(rows.filter(row => row.startsWith(`| \`${name}\` |`)).length, name).to.be.above(0)
    }
  })
})
