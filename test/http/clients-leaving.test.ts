// A client that leaves changes nothing for the others, and leaves nothing locked.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import express from 'express'
import { Gate, serve, type TestServer, until } from '../support/http.js'

describe('clients that leave', () => {
  const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  let server: TestServer
  let runs = 0
  let closed = false
  let gate = new Gate()

  before(async () => {
    const app = express()
    app.get('/:name', guard, (req, res, next) => {
      runs++
      res.once('close', () => {
        closed = true
      })
      if (req.params['name'] === 'begun') res.write('begun ')
      gate.opened.then(() => res.end('done'), next)
    })
    server = await serve(app)
  })
  beforeEach(() => {
    runs = 0
    closed = false
    gate = new Gate()
  })
  after(() => server.stop())

  for (const path of ['/before', '/begun']) {
    it(`the holder's client leaves (${path.slice(1)}): the work goes on, and its duplicates get the answer`, async () => {
      const socket = await server.dial(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
      await until(() => runs === 1, 'it runs')
      socket.destroy()
      await until(() => closed, 'the server noticed')
      const duplicate = server.ask(path, { headers: { host: 'h' } })
      await until(() => guard.engine.waiters === 1, 'a duplicate waits')
      gate.open()
      expect((await duplicate).body).to.match(/done$/)
      expect(runs).to.equal(1)
      expect(guard.engine.keys).to.equal(0)
    })
  }

  it('a follower leaves: it leaves the queue, and nothing else', async () => {
    const holder = server.ask('/follower', { headers: { host: 'h' } })
    await until(() => runs === 1, 'one runs')
    const socket = await server.dial('GET /follower HTTP/1.1\r\nHost: h\r\n\r\n')
    await until(() => guard.engine.waiters === 1, 'a duplicate waits')
    socket.destroy()
    await until(() => guard.engine.waiters === 0, 'it left')
    gate.open()
    expect((await holder).body).to.equal('done')
  })
})
