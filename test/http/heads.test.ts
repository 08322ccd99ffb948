// The head of a response, given in every way that a handler can: line, names, case, order and duplicates stay the same.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { type Behaviour, describeBehaviours, expressSurfaces, nodeHttp } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'
import { serve, type TestServer } from '../support/http.js'
import { guardHandle, type Handle } from '../support/plain.js'

const heads: readonly Behaviour[] = [
  {
    what: '`writeHead(status)`',
    answer: ({ res, attempt }) => {
      attempt('writeHead', () => res.writeHead(203))
      res.end('x')
    },
  },
  {
    what: '`writeHead(status, message)`',
    answer: ({ res, attempt }) => {
      attempt('writeHead', () => res.writeHead(201, 'Made By Hand'))
      res.end('x')
    },
  },
  {
    what: '`writeHead(status, headers)`, as an object',
    answer: ({ res, attempt }) => {
      attempt('writeHead', () => res.writeHead(200, { 'X-Case': 'Kept', 'x-number': 5, 'X-List': ['1', '2'] }))
      res.end('x')
    },
  },
  {
    what: '`writeHead(status, message, headers)`, as an object',
    answer: ({ res, attempt }) => {
      attempt('writeHead', () => res.writeHead(200, 'Fine', { 'Content-Type': 'a/b', 'Content-Length': '3' }))
      res.end('abc')
    },
  },
  {
    what: '`writeHead(status, undefined, headers)`',
    answer: ({ res, attempt }) => {
      attempt('writeHead', () => res.writeHead(200, undefined, { 'Content-Type': 'a/b', 'X-Case': 'Kept' }))
      res.end('abc')
    },
  },
  {
    what: '`writeHead` with a flat list, names repeated',
    answer: ({ res, attempt }) => {
      attempt('writeHead', () => res.writeHead(200, 'Fine', ['X-B', '1', 'x-a', '2', 'X-B', '3']))
      res.end('x')
    },
    except: { text: 'with equal names side by side', headers: ['x-a'] },
  },
  {
    what: '`writeHead` with a list of pairs',
    answer: ({ res, attempt }) => {
      const pairs: [string, string][] = [
        ['X-B', '1'],
        ['x-a', '2'],
      ]
      attempt('writeHead', () => res.writeHead(200, pairs as never))
      res.end('x')
    },
  },
  {
    what: '`writeHead` over headers that were set before',
    answer: ({ res, attempt }) => {
      res.setHeader('X-First', 'set')
      res.setHeader('X-Second', ['set', 'twice'])
      res.statusMessage = 'Set'
      attempt('writeHead', () => res.writeHead(202, { 'x-second': 'given', 'X-Third': 'given' }))
      res.end('x')
    },
  },
  {
    what: '`writeHead` with an object of names that differ in their case, over headers that were set before: the last of them counts',
    answer: ({ res, attempt }) => {
      res.setHeader('X-First', 'set')
      res.setHeader('X-Second', 'set')
      const headers = { 'Content-Type': 'a/b', 'X-Second': 'given', 'content-type': 'c/d', 'x-second': 'given again' }
      attempt('writeHead', () => res.writeHead(200, headers))
      res.end('x')
    },
  },
  {
    what: '`writeHead` with a flat list of names repeated, over headers that were set before (on Node 20 the last of them counts)',
    answer: ({ res, attempt }) => {
      res.setHeader('X-First', 'set')
      attempt('writeHead', () => res.writeHead(200, ['X-Second', 'given', 'X-Second', 'given again', 'X-Third', '1']))
      res.end('x')
    },
  },
  {
    what: '`writeHead` with empty lists, which take away what was set before',
    answer: ({ res, attempt }) => {
      res.setHeader('X-Object', 'set')
      res.setHeader('X-Stays', 'set')
      attempt('writeHead', () => res.writeHead(200, { 'x-object': [], 'X-Never': [] }))
      res.end('x')
    },
  },
  {
    what: '`writeHead` twice, the second time refused',
    answer: ({ res, attempt }) => {
      attempt('first', () => res.writeHead(200, { 'X-One': '1' }))
      attempt('second', () => res.writeHead(500, { 'X-Two': '2' }))
      res.end('x')
    },
  },
  {
    what: '`writeHead` refused (a wrong status, name or value), then answered',
    answer: ({ res, attempt }) => {
      attempt('status', () => res.writeHead(99))
      attempt('name', () => res.writeHead(200, { 'a b': 'x' }))
      attempt('value', () => res.writeHead(200, { 'X-Lines': 'a\r\nb' }))
      attempt('undefined', () => res.writeHead(200, { 'X-None': undefined }))
      res.statusCode = 200
      attempt('end', () => res.end('x'))
    },
  },
  {
    what: '`setHeader`, `appendHeader`, `removeHeader`, `getHeader…` in any case',
    answer: ({ res, attempt, note }) => {
      attempt('set', () => res.setHeader('X-ONE', 'a'))
      attempt('append', () => res.appendHeader('x-one', 'b'))
      attempt('append list', () => res.appendHeader('X-Two', ['c', 'd']))
      attempt('number', () => res.setHeader('x-Three', 3))
      attempt('removed', () => res.setHeader('X-Gone', '1'))
      res.removeHeader('x-gone')
      note(JSON.stringify([res.getHeaders(), res.getHeaderNames(), res.getHeader('X-one'), res.hasHeader('x-TWO')]))
      res.end('x')
      attempt('late', () => res.setHeader('X-Late', '1'))
      note(JSON.stringify([res.getHeaders(), res.getHeaderNames()]))
    },
  },
  {
    what: '`setHeaders` with a `Headers` or a `Map`',
    answer: ({ res, attempt }) => {
      attempt('Headers', () => res.setHeaders(new Headers({ 'X-One': '1', 'X-Two': '2' })))
      attempt('Map', () => res.setHeaders(new Map([['X-Three', '3']])))
      res.end('x')
    },
  },
  ...(
    [
      ['leaving with a string (Node makes it UTF-8)', ({ res }) => res.end('x')],
      ['leaving with a string in latin1', ({ res }) => res.end('\u00e4', 'latin1')],
      ['leaving with bytes', ({ res }) => res.end(Buffer.from('x'))],
      ['leaving in chunks', ({ res }) => void (res.write('x'), res.end('y'))],
      [
        'leaving in chunks, the second one a turn later (Node 26 keeps the head until then)',
        ({ res }) => void (res.write('x'), setImmediate(() => res.end(Buffer.from('y')))),
      ],
      [
        'leaving by `flushHeaders` (Node makes it UTF-8)',
        ({ res }) => void (res.flushHeaders(), res.end(Buffer.from('x'))),
      ],
      ['leaving with nothing', ({ res }) => res.end()],
      [
        'leaving with a string that is all of its declared length (Node makes it UTF-8)',
        ({ res }) => void (res.setHeader('Content-Length', 5), res.write('x\u{1f600}'), res.end()),
      ],
    ] satisfies [string, Behaviour['answer']][]
  ).map(
    ([way, finish]): Behaviour => ({
      what: `values and a message outside ASCII, ${way}`,
      answer: answering => {
        answering.res.statusMessage = '\u00fc'
        answering.res.setHeader('X-Latin', 'h\u00e4\u00df')
        return finish(answering)
      },
    }),
  ),
  {
    what: 'a message outside ASCII without a body, written to before `flushHeaders` (Node makes it UTF-8)',
    answer: ({ res }) => {
      res.writeHead(204, '\u00fc')
      res.write('')
      res.flushHeaders()
      res.end('\u00e4', 'latin1')
    },
  },
  {
    what: '`statusCode` and `statusMessage`',
    answer: ({ res, note }) => {
      res.statusCode = 226
      res.statusMessage = 'Used By Hand'
      note(`before ${String(res.statusMessage)}`)
      res.end('x')
      res.statusCode = 500
      note(`after ${res.statusCode} ${res.statusMessage}`)
    },
  },
  {
    what: 'a status without a name',
    answer: ({ res }) => {
      res.statusCode = 299
      res.end('x')
    },
  },
  {
    what: '`flushHeaders`: the head leaves before the body is there',
    answer: async ({ res, attempt, received }) => {
      res.setHeader('X-One', '1')
      attempt('flush', () => res.flushHeaders())
      await received('\r\n\r\n')
      attempt('again', () => res.flushHeaders())
      res.end('x')
    },
  },
  {
    what: '`Set-Cookie`, more than one',
    answer: ({ res }) => {
      res.setHeader('Set-Cookie', ['a=1', 'b=2; HttpOnly'])
      res.end('x')
    },
    except: { text: 'less `Set-Cookie`', headers: ['set-cookie'] },
  },
  {
    what: '`Date` of its own, or none (`sendDate = false`)',
    answer: ({ res }) => {
      res.sendDate = false
      res.end('x')
    },
    except: { text: 'with a fresh `Date`', headers: ['date'] },
  },
  {
    what: '`Content-Disposition` outside ASCII, with the head written before the body',
    answer: ({ res }) => {
      res.writeHead(200, { 'Content-Disposition': 'attachment; filename="\u00e4"' })
      res.end(Buffer.from('x'))
    },
  },
  {
    what: '`Content-Disposition` outside ASCII, garbled by Node at `end`',
    answer: ({ res }) => {
      res.setHeader('Content-Disposition', 'attachment; filename="\u00e4"')
      res.end(Buffer.from('x'))
    },
    except: { text: 'as it was meant', headers: ['content-disposition'] },
  },
  {
    what: '`Content-Length` of its own',
    answer: ({ res }) => {
      res.setHeader('content-length', '4')
      res.write('ab')
      res.end('cd')
    },
  },
  {
    what: '`Transfer-Encoding: chunked` of its own',
    answer: ({ res }) => {
      res.setHeader('Transfer-Encoding', 'chunked')
      res.end('abcd')
    },
    except: { text: 'with a length in its place', headers: [] },
  },
  {
    what: 'fields of the connection: `Connection` and those it lists, `Keep-Alive`, `Upgrade`, `TE`',
    answer: ({ res }) => {
      res.setHeader('Connection', 'close, X-Hop')
      res.setHeader('X-Hop', '1')
      res.setHeader('Keep-Alive', 'timeout=5')
      res.setHeader('TE', 'trailers')
      res.setHeader('Upgrade', 'h2c')
      res.setHeader('Proxy-Authenticate', 'Basic')
      res.setHeader('X-Stays', '1')
      res.end('x')
    },
    except: {
      text: 'less these',
      headers: ['x-hop', 'te', 'upgrade', 'proxy-authenticate'],
    },
  },
]

describe('heads of responses', () => {
  describeBehaviours(openTopic('Heads', 'heads.test.ts'), [nodeHttp, ...expressSurfaces], heads)
})

describe('heads of replays', () => {
  let server: TestServer
  let runs = 0
  let inFront: Handle = () => {}
  let answer: Handle = () => {}
  let round = 0

  before(async () => {
    const { handle } = guardHandle({ store: memoryStore(), duplicates: 'replay', ttlMs: 60_000 }, (...given) => {
      runs++
      answer(...given)
    })
    server = await serve((req: IncomingMessage, res: ServerResponse) => {
      inFront(req, res, undefined)
      return handle(req, res)
    })
  })
  beforeEach(() => {
    runs = 0
    inFront = () => {}
  })
  after(() => server.stop())

  /** Headers whose names begin with `x-`, of the first answer and of its replay. */
  const twice = async (answering: Handle): Promise<readonly [unknown, unknown]> => {
    answer = answering
    const path = `/${++round}`
    const own = async (): Promise<unknown> => {
      const { headers } = await server.ask(path)
      return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('x-')))
    }
    const both = [await own(), await own()] as const
    expect(runs).to.equal(1)
    return both
  }

  it('have what is set in front anew, unless the handler has changed it or taken it away', async () => {
    let asked = 0
    inFront = (_req, res) => {
      asked++
      res.setHeader('X-Anew', `of ${asked}`)
      for (const name of ['X-Changed', 'X-Longer', 'X-Gone', 'X-Emptied']) res.setHeader(name, 'front')
    }
    const [first, second] = await twice((_req, res) => {
      res.setHeader('X-Changed', 'handler')
      res.setHeader('X-Longer', ['front', 'handler'])
      res.removeHeader('X-Gone')
      // Of the same value as another one that is set in front.
      res.setHeader('X-Own', 'front')
      res.writeHead(200, { 'X-Emptied': [] }).end('x')
    })
    const kept = { 'x-changed': 'handler', 'x-longer': 'front, handler', 'x-own': 'front' }
    expect(first).to.deep.equal({ 'x-anew': 'of 1', ...kept })
    expect(second).to.deep.equal({ 'x-anew': 'of 2', ...kept })
  })

  it('have a value outside ASCII beside a message in ASCII as it went out', async () => {
    const [first, second] = await twice((_req, res) => {
      res.setHeader('X-Name', 'h\u00e4\u00df')
      res.end('x')
    })
    expect(second).to.deep.equal(first)
  })

  it('have a single header of `writeHead`, given as a list of pairs, and none where null is given', async () => {
    const pair = await twice((_req, res) => void res.writeHead(200, [['X-One', '1']] as never).end('x'))
    expect(pair).to.deep.equal([{ 'x-one': '1' }, { 'x-one': '1' }])
    runs = 0
    expect(await twice((_req, res) => void res.writeHead(200, null as never).end('x'))).to.deep.equal([{}, {}])
  })
})
