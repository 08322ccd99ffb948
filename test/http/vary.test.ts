// A response that varies by a request header goes only to clients that sent the same value.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import compression from 'compression'
import express from 'express'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { Gate, serve, type TestServer, until } from '../support/http.js'

describe('Vary', () => {
  const topic = openTopic('Vary', 'vary.test.ts')
  const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  let server: TestServer
  let runs = 0
  let gate = new Gate()

  before(async () => {
    const app = express()
    app.get('/', guard, (req, res, next) => {
      runs++
      res.vary('Accept-Language')
      gate.opened.then(() => res.send(`${req.get('accept-language') ?? 'none'} ${String(runs)}`), next)
    })
    server = await serve(app)
  })
  beforeEach(() => {
    gate = new Gate()
  })
  after(() => server.stop())

  const ask = (language?: string): Promise<string> =>
    server
      .ask('/', { headers: { host: 'h', ...(language === undefined ? {} : { 'accept-language': language }) } })
      .then(answer => answer.body)

  it('a waiter with another language runs for itself, once for each language', async () => {
    const asking = ['de', 'en', 'de', 'en', undefined, 'en'].map(language => ask(language))
    await until(() => runs === 1 && guard.engine.waiters === 5, 'one runs, the others wait')
    gate.open()
    const answers = await Promise.all(asking)
    expect(answers.map(answer => answer.split(' ')[0])).to.deep.equal(['de', 'en', 'de', 'en', 'none', 'en'])
    expect(runs).to.equal(3)
    expect(answers[2]).to.equal(answers[0])
    expect(answers[3]).to.equal(answers[1])
    topic.row('`Vary`, and the duplicate sent what the first one sent', SAME, 'the same')
    topic.row('`Vary`, and it waited with something else', SAME, 'runs for itself, once for each value')
  })

  it('and later each gets its own', async () => {
    expect([await ask('en'), await ask('de'), await ask()].map(answer => answer.split(' ')[0])).to.deep.equal([
      'en',
      'de',
      'none',
    ])
    expect(runs).to.equal(3)
    topic.row('`Vary`, and each value has its record', SAME, 'gets the one of its value')
  })

  it('counts where middleware in front says it, except for the encoding, which is then made anew for each', async () => {
    const app = express()
    let made = 0
    app.use(compression({ threshold: 0 }), (_req, res, next) => {
      res.vary('Accept-Language')
      next()
    })
    app.get('/', dspinlock({ duplicates: 'replay', ttlMs: 60_000, identity: 'public' }), (req, res) => {
      res.send(`${req.get('accept-language') ?? ''} ${++made}`)
    })
    const behind = await serve(app)
    const read = async (language: string, encoding: string): Promise<string> => {
      const { body, headers } = await behind.ask('/', {
        headers: { host: 'h', 'accept-language': language, 'accept-encoding': encoding },
      })
      return `${body} ${headers['content-encoding'] ?? 'plain'}`
    }
    expect([await read('de', 'identity'), await read('en', 'identity')]).to.deep.equal(['de 1 plain', 'en 2 plain'])
    expect((await read('de', 'gzip')).endsWith(' gzip')).to.equal(true)
    expect(await read('de', 'identity')).to.equal('de 1 plain')
    expect(made).to.equal(2)
    await behind.stop()
  })

  it('counts where middleware in front names a header whose name only contains that of the encoding', async () => {
    const app = express()
    app.use((req, res, next) => {
      res.vary(req.path.slice(1))
      next()
    })
    app.get('/:name', dspinlock({ duplicates: 'replay', ttlMs: 60_000, identity: 'public' }), (req, res) => {
      res.send(req.get(req.params.name))
    })
    const behind = await serve(app)
    for (const name of ['x-accept-encoding', 'xaccept-encoding', 'accept-encoding-of', 'accept-encodings']) {
      const read = async (value: string): Promise<string> =>
        (await behind.ask(`/${name}`, { headers: { host: 'h', [name]: value } })).body
      expect([await read('a'), await read('b')], name).to.deep.equal(['a', 'b'])
    }
    await behind.stop()
  })
})
