// HEAD is answered from the record of a GET if the option says so.

import { text } from 'node:stream/consumers'
import { memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { Gate, serve, type TestServer, until } from '../support/http.js'
import { guardHandle } from '../support/plain.js'

describe('headFromGet', () => {
  const topic = openTopic('HEAD from the record of a GET', 'head-from-get.test.ts')
  const ran: string[] = []
  let gate = new Gate()
  gate.open()
  let server: TestServer
  const options = { store: memoryStore(), duplicates: 'replay', ttlMs: 60_000, headFromGet: true } as const
  const { guard, handle } = guardHandle(options, (req, res) => {
    ran.push(String(req.method))
    void gate.opened.then(() => {
      res.setHeader('ETag', '"v1"')
      res.setHeader('Content-Type', 'text/plain')
      if (req.url?.startsWith('/nothing') === true) res.statusCode = 204
      res.end('of a GET')
    })
  })

  before(async () => {
    server = await serve(handle)
  })
  beforeEach(() => {
    ran.length = 0
  })
  after(() => server.stop())

  const head = (path: string, headers: Record<string, string> = {}) => server.ask(path, { method: 'HEAD', headers })

  it('with a record: its head and length, and no body', async () => {
    const got = await server.ask('/there')
    const { status, headers, body } = await head('/there')
    expect([status, body, ran]).to.deep.equal([200, '', ['GET']])
    expect(headers).to.include({ etag: '"v1"', 'content-type': 'text/plain', 'cache-status': 'dspinlock; hit' })
    expect(headers['content-length']).to.equal(String(got.bytes.length))
    expect(headers).to.not.have.any.keys('transfer-encoding')
    topic.row('HEAD, and there is a record', SAME, 'the head of the GET, with its length')
  })

  it('on a connection that is kept alive: nothing of a body comes after it', async () => {
    await server.ask('/alive', { headers: { host: 'h' } })
    const socket = await server.dial(
      'HEAD /alive HTTP/1.1\r\nHost: h\r\n\r\nHEAD /alive HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
    )
    let received = ''
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString()
    })
    await new Promise(resolve => socket.once('close', resolve))
    expect(received.split('HTTP/1.1 200 OK')).to.have.length(3)
    expect(received).to.not.include('of a GET')
  })

  it('without one: a GET that comes with it is not refused on account of it', async () => {
    const alone = guardHandle({ ...options, store: memoryStore(), whileInFlight: 'reject' }, (req, res) => {
      res.end(`of a ${req.method}`)
    })
    const other = await serve(alone.handle)
    // What is written at once is read at once.
    const wire = await text(
      await other.dial('HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'),
    )
    expect(wire.match(/HTTP\/1\.1 \d+/g)).to.deep.equal(['HTTP/1.1 200', 'HTTP/1.1 200'])
    await other.stop()
    await alone.guard.close()
  })

  it('without one: it runs for itself, and leaves none', async () => {
    for (let n = 1; n <= 2; n++) {
      expect((await head('/none')).status).to.equal(200)
      expect(ran).to.have.length(n)
    }
    expect(guard.engine.keys).to.equal(0)
    topic.row('HEAD, and there is none', SAME, 'runs for itself')
  })

  it('while a GET is in flight: it waits, and gets its head', async () => {
    gate = new Gate()
    const got = server.ask('/flying')
    await until(() => ran.length === 1, 'the GET runs')
    const asked = head('/flying')
    await until(() => guard.engine.waiters === 1, 'the HEAD waits')
    gate.open()
    expect((await got).body).to.equal('of a GET')
    const answer = await asked
    expect([answer.status, answer.headers['content-length'], ran.length]).to.deep.equal([200, '8', 1])
    topic.row('HEAD while a GET is in flight', SAME, 'waits, and gets its head')
  })

  it('with conditions of its own: 304', async () => {
    await server.ask('/tagged')
    expect((await head('/tagged', { 'if-none-match': '"v1"' })).status).to.equal(304)
  })

  it('of a 204: no length', async () => {
    await server.ask('/nothing')
    const { status, headers } = await head('/nothing')
    expect([status, headers['content-length'], ran.length]).to.deep.equal([204, undefined, 1])
  })
})
