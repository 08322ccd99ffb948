// A success that cannot be replayed: reads run for everybody at once; effects happen once, and duplicates are told so.

import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import express, { type Request, type Response } from 'express'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { Gate, serve, type TestServer, until } from '../support/http.js'
import { lifeStores, startLife } from '../support/life.js'
import { noteTroubles } from '../support/troubles.js'

describe('responses that cannot be replayed', () => {
  let server: TestServer
  let runs = 0
  let now = 0
  let most = 0
  let first = new Gate()

  before(async () => {
    const options = { duplicates: 'replay', ttlMs: 60_000, maxRecordBytes: 100, passMs: 60_000 } as const
    const guard = dspinlock(options)
    const answers: Record<string, (res: Response) => void> = {
      large: res => void res.send('x'.repeat(101)),
      anything: res => void res.vary('*').send('x'),
      // No field name, so nobody can tell what it varies by.
      nameless: res => void res.set('Vary', 'Accept *').send('x'),
      trailers: res => {
        res.writeHead(200, { Trailer: 'X-Sum', 'Transfer-Encoding': 'chunked' })
        res.write('x')
        res.addTrailers({ 'X-Sum': '1' })
        res.end()
      },
      partial: res => void res.status(206).send('x'),
    }
    const app = express()
    for (const [what, answer] of Object.entries(answers)) {
      const work = (_req: Request, res: Response): void => {
        most = Math.max(most, ++now)
        const go = (): void => {
          now--
          answer(res)
        }
        if (++runs === 1) void first.opened.then(go)
        else void until(() => most >= 20 || now >= 20, 'all others run at once').then(go, go)
      }
      app.route(`/${what}`).all(guard, work)
      app.route(`/run/${what}`).all(dspinlock({ ...options, onUnreplayable: 'run' }), work)
      app.route(`/refuse/${what}`).all(dspinlock({ ...options, onUnreplayable: 'refuse' }), work)
    }
    server = await serve(app)
  })
  beforeEach(() => {
    runs = 0
    now = 0
    most = 0
    first = new Gate()
  })
  after(() => server.stop())

  const burst = async (path: string, method: string): Promise<number[]> => {
    const asking = Array.from({ length: 21 }, () => server.ask(path, { method, headers: { host: 'h' } }))
    await until(() => runs === 1, 'one runs')
    first.open()
    return (await Promise.all(asking)).map(answer => answer.status)
  }

  for (const what of ['large', 'anything', 'nameless', 'trailers', 'partial']) {
    const good = what === 'partial' ? 206 : 200
    it(`${what}, by GET: the others run all at once after the first one`, async () => {
      expect(new Set(await burst(`/${what}`, 'GET'))).to.deep.equal(new Set([good]))
      expect([runs, most]).to.deep.equal([21, 20])
    })

    it(`${what}, by POST: one runs, the others are told that it is done`, async () => {
      const statuses = await burst(`/${what}`, 'POST')
      expect(statuses.filter(status => status === good)).to.have.length(1)
      expect(statuses.filter(status => status === 409)).to.have.length(20)
      const later = await server.ask(`/${what}`, { method: 'POST', headers: { host: 'h' } })
      expect(JSON.parse(later.body)).to.include({ status: 409, code: 'not-kept' })
      expect(runs).to.equal(1)
    })
  }

  it("onUnreplayable: 'run' lets a POST run again, 'refuse' refuses a GET", async () => {
    expect(new Set(await burst('/run/large', 'POST'))).to.deep.equal(new Set([200]))
    expect(runs).to.equal(21)
    runs = 0
    first = new Gate()
    expect((await burst('/refuse/large', 'GET')).filter(status => status === 409)).to.have.length(20)
    expect(runs).to.equal(1)
  })
})

describe('a response of more headers than a record has room for', () => {
  it('is not replayed, is told as trouble, and holds nobody up', async () => {
    let runs = 0
    const { noted, stop } = noteTroubles('http')
    const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
    const app = express()
    app.all('/', guard, (_req, res) => {
      runs++
      res.setHeader('X', Array<string>(65_536).fill('x'))
      res.send('all of it')
    })
    const server = await serve(app)
    const ask = async (method: string): Promise<string> => {
      const socket = await server.dial(`${method} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`)
      return text(socket)
    }
    for (const method of ['GET', 'GET', 'POST'])
      expect((await ask(method)).endsWith('\r\n\r\nall of it')).to.equal(true)
    expect(await ask('POST')).to.contain('"not-kept"')
    expect([runs, guard.engine.keys]).to.deep.equal([3, 0])
    stop()
    expect(noted.map(({ operation }) => operation)).to.deep.equal(['encode', 'encode'])
    await server.stop()
  })
})

describe('pass marks', () => {
  const topic = openTopic('Responses that cannot be replayed', 'unreplayable.test.ts')

  for (const kind of lifeStores) {
    it(`on ${kind}: 100 who waited for a read run at once after the first, not one after another`, async () => {
      const life = await startLife(kind, { duplicates: 'replay', maxRecordBytes: 10, passMs: 60_000 })
      const socket = await life.dial('/')
      await until(() => life.runs.length === 1, 'one runs')
      const asking = Array.from({ length: 100 }, () => life.ask('/'))
      await life.waiting(100)
      expect(life.most()).to.equal(1)
      life.runs[0]?.res.end('too large for a record')
      await until(() => life.runs.length === 101, 'all others run')
      expect(life.most()).to.equal(100)
      expect(new Set(life.runs.slice(1).map(({ lock }) => lock?.role))).to.deep.equal(new Set(['pass']))
      for (const { res } of life.runs.slice(1)) res.end('its own')
      expect(new Set((await Promise.all(asking)).map(({ body }) => body))).to.deep.equal(new Set(['its own']))
      await life.free()
      socket.destroy()
      await life.stop()
      topic.row('a read, with 100 waiting', SAME, 'all run at once after the first')
    })

    it(`on ${kind}: a write happens once, and all who waited are told`, async () => {
      const life = await startLife(kind, { duplicates: 'replay', maxRecordBytes: 10, ttlMs: 60_000 })
      const socket = await life.dial('/', 'POST')
      await until(() => life.runs.length === 1, 'one runs')
      const asking = Array.from({ length: 20 }, () => life.ask('/', 'POST'))
      await life.waiting(20)
      life.runs[0]?.res.end('too large for a record')
      const answers = await Promise.all(asking)
      expect(new Set(answers.map(({ status }) => status))).to.deep.equal(new Set([409]))
      expect(life.runs).to.have.length(1)
      await life.free()
      socket.destroy()
      await life.stop()
      topic.row('a write', SAME, 'all are told that it is done (409)')
    })

    it(`on ${kind}: a write whose response is destroyed for an error before its head counts as done`, async () => {
      const life = await startLife(kind, { duplicates: 'replay', ttlMs: 60_000 }, ({ res }) => {
        res.destroy(new Error('planned'))
      })
      const socket = await life.dial('/', 'POST')
      await new Promise(resolve => socket.once('close', resolve))
      expect((await life.ask('/', 'POST')).status).to.equal(409)
      expect(life.runs).to.have.length(1)
      await life.free()
      await life.stop()
    })
  }
})
