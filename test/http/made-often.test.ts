// A middleware that is made anew for each request, and so has a memory of its own each time, locks nothing, and a warning says so.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { atOnce } from '../support/at-once.js'

/** Serves 150 requests, in a process of its own, because a warning is given once in a process. `perRequest` is the handler's code. */
async function warningsOf(atStart: string, perRequest: string): Promise<string> {
  const code = `
    import express from 'express'
    import { dspinlock } from '@dspinlock/express'
    const app = express()
    ${atStart}
    app.post('/pay', (req, res, next) => ${perRequest}(req, res, next), (_req, res) => res.end('paid'))
    const server = app.listen(0, async () => {
      for (let n = 0; n < 150; n++) await (await fetch('http://localhost:' + server.address().port + '/pay', { method: 'POST' })).text()
      server.close()
      server.closeAllConnections()
    })
  `
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code])
  return stderr
}

describe('a middleware that is made for each request', () => {
  const many = 'const guards = Array.from({ length: 300 }, () => dspinlock())'
  const oneStore = `const { memoryStore } = await import('@dspinlock/express'); const store = memoryStore()`
  const warnings = atOnce([
    () => warningsOf('', 'dspinlock()'),
    () => warningsOf(many, 'guards[0]'),
    () => warningsOf(oneStore, 'dspinlock({ store })'),
  ])

  it('is warned about, once', async () => {
    const warned = await warnings(0)
    expect(warned.match(/\[DSPINLOCK_W_MADE_OFTEN\]/g)).to.have.length(1)
  })

  it('is nothing to warn about if it is one for all, nor if many are made at start', async () => {
    expect(await warnings(1)).to.equal('')
  })

  it('is nothing to warn about if all have one store', async () => {
    expect(await warnings(2)).to.equal('')
  })
})
