// Two copies of the packages in one process, as npm installs them for two dependents that want different versions, act as one guard on a request.

import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { memoryStore } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import express from 'express'
import { json, serve } from '../support/http.js'
import { top } from './published.js'

type Express = typeof import('@dspinlock/express')

describe('a second copy of the packages', () => {
  const modules = mkdtempSync(join(tmpdir(), 'dspinlock-copy-'))
  let other: Express

  before(async () => {
    mkdirSync(join(modules, 'node_modules/@dspinlock'), { recursive: true })
    for (const name of ['core', 'http', 'express']) {
      for (const part of ['dist', 'package.json']) {
        cpSync(join(top, 'packages', name, part), join(modules, 'node_modules/@dspinlock', name, part), {
          recursive: true,
        })
      }
    }
    for (const name of ['fresh', 'structured-headers'])
      symlinkSync(join(top, 'node_modules', name), join(modules, 'node_modules', name))
    const entry = join(modules, 'node_modules/@dspinlock/express/dist/index.js')
    other = (await import(pathToFileURL(entry).href)) as Express
  })
  after(() => rmSync(modules, { recursive: true }))

  it('mounted further in with the same store, it does not wait for the hold of the first one', async () => {
    expect(other.dspinlock).not.to.equal(dspinlock)
    const store = memoryStore()
    const app = express()
    app.use(express.json())
    app.use(dspinlock({ store, duplicates: 'reject' }))
    app.post('/orders', other.dspinlock({ store, duplicates: 'reject' }), (_req, res) => void res.json({ ran: true }))
    const server = await serve(app)
    try {
      const answer = await server.ask('/orders', json({ n: 1 }))
      expect([answer.status, answer.body]).to.deep.equal([200, '{"ran":true}'])
    } finally {
      await server.stop()
      await store.close()
    }
  })
})
