// Nothing is claimed before the body is complete: a client that sends half of one and stalls holds nobody up.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import express from 'express'
import { json, serve, until } from '../support/http.js'

describe('slow uploads', () => {
  it('a stalled one holds nothing, also while the same request comes through, and runs once it is complete', async () => {
    let runs = 0
    const guard = dspinlock({ duplicates: 'reject' })
    const app = express()
    app.post('/', guard, express.json(), (_req, res) => {
      runs++
      res.send('done')
    })
    const server = await serve(app)
    const head =
      'POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\n'
    const stalled = await server.dial(`${head}{"a"`)
    const left = await server.dial(`${head}{"a"`)
    let received = ''
    stalled.on('data', (chunk: Buffer) => {
      received += chunk.toString()
    })
    expect((await server.ask('/', json({ a: 1 }, { host: 'h' }))).status).to.equal(200)
    expect([guard.engine.keys, runs]).to.deep.equal([0, 1])
    left.destroy()
    stalled.write(':1}')
    await until(() => received.endsWith('done'), 'it is answered')
    expect([guard.engine.keys, runs]).to.deep.equal([0, 2])
    await server.stop()
  })
})
