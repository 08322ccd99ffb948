// The fields that a replay has of its own (Date, Age, Cache-Status, its length), and the statuses that are replayed.

import { STATUS_CODES } from 'node:http'
import { text } from 'node:stream/consumers'
import { memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { parseList, Token } from 'structured-headers'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { type Answer, serve, type TestServer, until } from '../support/http.js'
import { guardHandle, type Handle } from '../support/plain.js'
import { OWN_TO_EACH } from '../support/wire.js'

describe('fields of a replay', () => {
  const topic = openTopic('Fields of a replay', 'replay-fields.test.ts')
  let server: TestServer
  let runs = 0
  let answer: Handle = () => {}
  let round = 0
  const { guard, handle } = guardHandle({ store: memoryStore(), duplicates: 'replay', ttlMs: 60_000 }, (...given) => {
    runs++
    answer(...given)
  })

  before(async () => {
    server = await serve(handle)
  })
  beforeEach(() => {
    runs = 0
  })
  after(() => server.stop())

  const twice = async (answering: Handle, method = 'GET'): Promise<readonly [Answer, Answer]> => {
    answer = answering
    const path = `/${++round}`
    return [await server.ask(path, { method }), await server.ask(path, { method })]
  }

  const cacheStatus = ({ headers }: Answer): unknown =>
    parseList(String(headers['cache-status'])).map(([item, parameters]) => [
      item instanceof Token ? item.toString() : item,
      Object.fromEntries(parameters),
    ])

  it('`Cache-Status` is a list of structured fields, with a hit', async () => {
    const [, second] = await twice((_req, res) => res.end('x'))
    expect(cacheStatus(second)).to.deep.equal([['dspinlock', { hit: true }]])
    topic.row('`Cache-Status`', SAME, '`dspinlock; hit`')
  })

  it('`Cache-Status` of who waited says that it was collapsed', async () => {
    let end = (): void => {}
    answer = (_req, res) => {
      end = () => void res.end('x')
    }
    const path = `/${++round}`
    const asking = [server.ask(path), server.ask(path)]
    await until(() => guard.engine.waiters === 1, 'one waits')
    end()
    const answers = await Promise.all(asking)
    const follower = answers.find(({ headers }) => headers['cache-status'] !== undefined) as Answer
    expect(cacheStatus(follower)).to.deep.equal([['dspinlock', { collapsed: true }]])
    expect(follower.headers.age).to.equal('0')
    topic.row('`Cache-Status`, while the first was in flight', SAME, '`dspinlock; collapsed`')
  })

  it('`Cache-Status` comes after those of caches further in', async () => {
    const [, second] = await twice((_req, res) => {
      res.setHeader('Cache-Status', ['origin; fwd=miss', 'inner; hit; ttl=5'])
      res.end('x')
    })
    expect(cacheStatus(second)).to.deep.equal([
      ['origin', { fwd: new Token('miss') }],
      ['inner', { hit: true, ttl: 5 }],
      ['dspinlock', { hit: true }],
    ])
    topic.row('`Cache-Status` of the handler', SAME, 'its own comes last')
  })

  it('`Age` counts seconds from the first answer, and on from an `Age` of the handler; `Date` is now', async () => {
    answer = (_req, res) => {
      res.setHeader('Age', '100')
      res.setHeader('Date', 'Tue, 01 Oct 2024 12:00:00 GMT')
      res.end('x')
    }
    const path = `/${++round}`
    const first = await server.ask(path)
    expect(first.headers).to.include({ age: '100', date: 'Tue, 01 Oct 2024 12:00:00 GMT' })
    const asked = performance.now()
    let second = await server.ask(path)
    expect(second.headers.age).to.equal('100')
    while (second.headers.age === '100') second = await server.ask(path)
    expect(second.headers.age).to.equal('101')
    expect(performance.now() - asked).to.be.within(900, 4_000)
    expect(Math.abs(Date.parse(String(second.headers.date)) - Date.now())).to.be.below(4_000)
    topic.row('`Age`', SAME, 'seconds since the first answer, and those it had then')
    topic.row('`Date`', SAME, 'of the replay')
  })

  it('an `Age` of the handler that is no number of seconds counts as none', async () => {
    for (const age of ['', 'x', '-5', 'x5', '5x', '1.5', '1'.repeat(11)]) {
      const [, second] = await twice((_req, res) => {
        res.setHeader('Age', age)
        res.end('x')
      })
      expect(second.headers.age, age).to.equal('0')
    }
  })

  it('`Content-Length` is that of the body, also where the first answer came in chunks', async () => {
    const [first, second] = await twice((_req, res) => {
      res.write('h\u00e4')
      res.end('llo')
    })
    expect(first.headers).to.include({ 'transfer-encoding': 'chunked' })
    expect(second.headers).to.include({ 'content-length': '6' })
    expect(second.headers).to.not.have.any.keys('transfer-encoding')
    topic.row('`Content-Length`, `Transfer-Encoding`', SAME, 'the length, and never in chunks')
  })

  it('every other field is kept', async () => {
    const [first, second] = await twice((_req, res) => {
      const names = ['ETag', 'Last-Modified', 'Location', 'Link', 'Content-Language', 'Content-Encoding', 'Warning']
      for (const name of [...names, 'Retry-After', 'WWW-Authenticate', 'Content-Security-Policy', 'X-Any'])
        res.setHeader(name, `of ${name}`)
      res.end('x')
    })
    const lasting = ({ headers }: Answer): unknown =>
      Object.entries(headers).filter(([name]) => !OWN_TO_EACH.includes(name))
    expect(lasting(second)).to.deep.equal(lasting(first))
    topic.row('every other field', SAME, 'the same')
  })

  it('what belongs to one connection is left out, and so is what `Connection` lists', async () => {
    const [first, second] = await twice((_req, res) => {
      res.setHeader('Connection', 'x-hop, X-Leap')
      const ofConnection = ['X-Hop', 'x-leap', 'Keep-Alive', 'TE', 'Upgrade', 'Proxy-Connection']
      for (const name of [...ofConnection, 'Proxy-Authenticate', 'Proxy-Authorization', 'X-Stays'])
        res.setHeader(name, 'own')
      res.end('x')
    })
    const own = ({ headers }: Answer): string[] => Object.keys(headers).filter(name => headers[name] === 'own')
    expect(own(first)).to.have.length(9)
    expect(own(second)).to.deep.equal(['x-stays'])
  })

  it('a 204 is replayed whatever length it declares, because it has no body', async () => {
    const [first, second] = await twice((_req, res) => void res.writeHead(204, { 'Content-Length': '5' }).end())
    expect([first.status, second.status, runs]).to.deep.equal([204, 204, 1])
    expect(second.headers).to.include({ 'cache-status': 'dspinlock; hit' })
  })

  it('a status of no class (RFC 9110, section 15) is not replayed, and a write that it answered is done', async () => {
    const options = { store: memoryStore(), duplicates: 'replay', ttlMs: 60_000, serverErrors: 'keep' } as const
    const keeping = await serve(
      guardHandle(options, (req, res) => {
        runs++
        res.writeHead(Number(req.url?.slice(1))).end(String(runs))
      }).handle,
    )
    const ask = async (status: number, method: string): Promise<string> => {
      const answer = await keeping.ask(`/${status}`, { method, headers: { authorization: 'a' } })
      return `${answer.status} ${answer.status === 409 ? String(JSON.parse(answer.body).code) : answer.body}`
    }
    expect([await ask(599, 'GET'), await ask(599, 'GET')]).to.deep.equal(['599 1', '599 1'])
    expect([await ask(600, 'GET'), await ask(600, 'GET')]).to.deep.equal(['600 2', '600 3'])
    expect([await ask(600, 'POST'), await ask(600, 'POST')]).to.deep.equal(['600 4', '409 not-kept'])
    // An interim status that the handler gives as its last word.
    const head = 'POST /101 HTTP/1.1\r\nHost: h\r\nAuthorization: a\r\nConnection: close\r\n\r\n'
    const statuses = [await text(await keeping.dial(head)), await text(await keeping.dial(head))]
    expect(statuses.map(wire => wire.slice(9, 12))).to.deep.equal(['101', '409'])
    await keeping.stop()
  })

  for (const [who, headers] of [
    ['somebody', { authorization: 'Bearer of somebody' }],
    ['nobody in particular', {}],
  ] as const) {
    it(`statuses that have a replay, to ${who}`, async () => {
      // RFC 9110, section 15, and RFC 6585: these belong to one transfer, or were not begun; what was wrong with one request need not be wrong with another.
      const isReplayed = (status: number): boolean => {
        if (status >= 499 || [206, 304, 408, 425, 428, 429, 431].includes(status)) return false
        return who === 'somebody' || status < 400 || status === 404 || status === 410
      }
      for (const status of [...Object.keys(STATUS_CODES).map(Number), 499]) {
        if (status < 200) continue
        runs = 0
        answer = (_req, res) => {
          res.statusCode = status
          res.end(status === 304 || status === 204 ? '' : 'x')
        }
        const path = `/${++round}`
        const [first, second] = [await server.ask(path, { headers }), await server.ask(path, { headers })]
        const expected = [status, first.body, isReplayed(status) ? 1 : 2]
        expect([second.status, second.body, runs], String(status)).to.deep.equal(expected)
      }
    })
  }

  it('statuses are in docs/http.md', () => {
    topic.row('status 200 to 399, 404 and 410, save 206 and 304', SAME, 'the same')
    topic.row('another status of 400 to 498', SAME, 'the same if it is one and the same person, else runs for itself')
    topic.row('206, 304, 408, 425, 428, 429, 431, 499, and 500 and above', SAME, 'runs for itself')
  })
})
