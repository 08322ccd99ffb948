// Common middleware around dspinlock, each before and after it: the holder's client and duplicates get what they would get without it.

import { once } from 'node:events'
import { mkdtempSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { dspinlock } from '@dspinlock/express'
import { endWithoutResponse } from '@dspinlock/http'
import { redisStore } from '@dspinlock/redis'
import bodyParser from 'body-parser'
import { expect } from 'chai'
import compression from 'compression'
import cookieSession from 'cookie-session'
import cors from 'cors'
import type { NextFunction, Request, RequestHandler, Response } from 'express'
import session from 'express-session'
import helmet from 'helmet'
import { createProxyMiddleware } from 'http-proxy-middleware'
import morgan from 'morgan'
import multer from 'multer'
import serveStatic from 'serve-static'
import { type Answering, type Behaviour, describeBehaviours, type Surface } from '../support/behaviour.js'
import { openTopic } from '../support/fidelity-table.js'
import { frameworks, serve, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

type Place = 'before' | 'after'
const BOTH: readonly Place[] = ['before', 'after']

interface Library {
  readonly name: string
  /** Makes it anew for each route, because each has its state. */
  readonly make: () => RequestHandler
  readonly places?: readonly Place[]
  readonly behaviour: Omit<Behaviour, 'what' | 'except'>
  readonly except?: Readonly<Partial<Record<Place, Behaviour['except']>>>
  readonly isFramedOutside?: boolean
}

/** Express adds these to `res`, although Node's types do not have them. */
const express = ({ req, res }: Answering): { readonly req: Request; readonly res: Response } => ({
  req: req as Request,
  res: res as Response,
})

const LONG = 'a line that compresses well\n'.repeat(200)
const sendLong: Behaviour['answer'] = answering => void express(answering).res.type('text').send(LONG)
const sendShort: Behaviour['answer'] = answering => void express(answering).res.json({ short: true })
const echoBody: Behaviour['answer'] = answering => {
  const { req, res } = express(answering)
  const { body } = req as { body: unknown }
  res.json({ body: Buffer.isBuffer(body) ? body.toString('hex') : body })
}

const post = (type: string, body: string): Pick<Behaviour, 'method' | 'headers' | 'body'> => ({
  method: 'POST',
  headers: [`Content-Type: ${type}`, `Content-Length: ${Buffer.byteLength(body)}`],
  body,
})
const form = [
  '--edge',
  'Content-Disposition: form-data; name="field"',
  '',
  'value',
  '--edge',
  'Content-Disposition: form-data; name="file"; filename="f.txt"',
  'Content-Type: text/plain',
  '',
  'contents',
  '--edge--',
  '',
].join('\r\n')

const withoutCookies = { text: 'less `Set-Cookie`', headers: [] } as const

const root = mkdtempSync(join(tmpdir(), 'dspinlock-static-'))
writeFileSync(join(root, 'file.txt'), LONG)
utimesSync(join(root, 'file.txt'), 1_700_000_000, 1_700_000_000)
const serveFile = serveStatic(root, { cacheControl: false })
let proxy: RequestHandler = (_req, _res, next) => next()

const libraries: readonly Library[] = [
  ...(['gzip', 'br', 'identity'] as const).map(
    (encoding): Library => ({
      name: `compression (${encoding})`,
      make: () => compression(),
      behaviour: { headers: [`Accept-Encoding: ${encoding}`], answer: sendLong },
    }),
  ),
  {
    name: 'compression of a body in chunks, flushed',
    make: () => compression({ threshold: 0 }),
    // Compressed bytes show where chunks were flushed.
    places: ['after'],
    behaviour: {
      headers: ['Accept-Encoding: gzip'],
      answer: answering => {
        const { res } = express(answering)
        res.type('text')
        res.write('one ')
        res.flush()
        res.write('two ')
        res.end('three')
      },
    },
  },
  {
    name: 'express-session',
    make: () => session({ secret: 's', resave: true, saveUninitialized: true, genid: () => 'fixed' }),
    behaviour: {
      answer: answering => {
        const { req, res } = express(answering)
        Object.assign(req.session, { seen: true })
        res.send('with a session')
      },
    },
    except: { before: { text: 'with its own session', headers: [] }, after: withoutCookies },
  },
  {
    name: 'express-session, a body in chunks',
    make: () => session({ secret: 's', resave: true, saveUninitialized: true, genid: () => 'fixed' }),
    behaviour: {
      answer: answering => {
        const { req, res } = express(answering)
        Object.assign(req.session, { seen: true })
        res.write('with a ')
        res.end('session')
      },
    },
    except: { before: { text: 'with its own session', headers: [] }, after: withoutCookies },
  },
  {
    name: 'cookie-session',
    make: () => cookieSession({ keys: ['k'] }),
    behaviour: {
      answer: answering => {
        const { req, res } = express(answering)
        Object.assign(req.session ?? {}, { seen: 1 })
        res.send('with a cookie')
      },
    },
    except: { before: withoutCookies, after: withoutCookies },
  },
  {
    name: 'body-parser: JSON',
    make: () => bodyParser.json(),
    behaviour: { ...post('application/json', '{"b":1,"a":["ü",null]}'), answer: echoBody },
  },
  {
    name: 'body-parser: a form',
    make: () => bodyParser.urlencoded({ extended: true }),
    behaviour: { ...post('application/x-www-form-urlencoded', 'a=1&b%5Bc%5D=2&a=3'), answer: echoBody },
  },
  {
    name: 'body-parser: text',
    make: () => bodyParser.text(),
    behaviour: { ...post('text/plain', 'hä'), answer: echoBody },
  },
  {
    name: 'body-parser: bytes',
    make: () => bodyParser.raw(),
    behaviour: { ...post('application/octet-stream', 'bytes'), answer: echoBody },
  },
  {
    name: 'body-parser: a body that it refuses',
    make: () => (_req, _res, next) => next(),
    places: ['after'],
    behaviour: {
      ...post('application/json', '{"a":'),
      answer: answering => {
        const { req, res } = express(answering)
        bodyParser.json()(req, res, (error: Error) => void res.status(400).send(error.message))
      },
    },
  },
  {
    name: 'multer',
    make: () => multer({ storage: multer.memoryStorage() }).any(),
    behaviour: {
      ...post('multipart/form-data; boundary=edge', form),
      answer: answering => {
        const { req, res } = express(answering)
        const files = (req.files as unknown as Express.Multer.File[]).map(({ fieldname, buffer }) => [
          fieldname,
          String(buffer),
        ])
        res.json({ body: { ...(req.body as object) }, files })
      },
    },
  },
  { name: 'helmet', make: () => helmet(), behaviour: { answer: sendShort } },
  {
    name: 'cors',
    make: () => cors({ origin: ['https://a.example'], credentials: true }),
    behaviour: { headers: ['Origin: https://a.example'], answer: sendShort },
  },
  {
    name: 'serve-static that has no such file',
    make: () => serveFile,
    behaviour: { answer: sendShort },
  },
  {
    name: 'serve-static',
    make: () => (_req, _res, next) => next(),
    places: ['after'],
    behaviour: { answer: answering => fileOf(answering) },
  },
  {
    name: 'serve-static, to a request for a range',
    make: () => (_req, _res, next) => next(),
    places: ['after'],
    behaviour: { headers: ['Range: bytes=0-9'], answer: answering => fileOf(answering), duplicate: 'runs' },
  },
  {
    name: 'http-proxy-middleware, for other paths',
    make: () => createProxyMiddleware({ target: 'http://127.0.0.1:9', pathFilter: '/elsewhere' }) as RequestHandler,
    behaviour: { answer: sendShort },
  },
  {
    name: 'http-proxy-middleware',
    make: () => (_req, _res, next) => next(),
    places: ['after'],
    behaviour: { answer: answering => proxied(answering) },
    except: { after: { text: 'with a fresh `Date`', headers: [] } },
  },
  {
    name: 'what collects all and sends it later',
    make: () => collectAll,
    places: ['before'],
    behaviour: { ...post('text/plain', 'done once'), answer: sendShort },
  },
  {
    name: 'what collects the head and sends it later',
    make: () => collectHead,
    places: ['before'],
    behaviour: {
      answer: ({ res }) => {
        res.writeHead(201, { 'Content-Type': 'a/b', 'X-Given': 'with the head' })
        res.end('short')
      },
    },
  },
  {
    name: 'what sets a field in `end`',
    make: () => setInEnd,
    places: ['before'],
    behaviour: { answer: sendShort },
  },
  {
    name: 'http-proxy-middleware, with a body',
    make: () => (_req, _res, next) => next(),
    places: ['after'],
    behaviour: { ...post('text/plain', 'to be sent on'), answer: answering => proxied(answering) },
    except: { after: { text: 'with a fresh `Date`', headers: [] } },
  },
]

function collectAll(_req: Request, res: Response, next: NextFunction): void {
  const chunks: Buffer[] = []
  const end = res.end.bind(res) as (body: Buffer) => void
  const collect = (chunk: unknown): void => void chunks.push(Buffer.from(chunk as string | Buffer))
  res.write = chunk => {
    collect(chunk)
    return true
  }
  res.end = (chunk?: unknown) => {
    if (chunk !== undefined) collect(chunk)
    res.setHeader('X-Chunks', chunks.length)
    setImmediate(() => end(Buffer.concat(chunks)))
    return res
  }
  next()
}

function collectHead(_req: Request, res: Response, next: NextFunction): void {
  const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => Response
  const end = res.end.bind(res) as (...args: unknown[]) => Response
  let given: unknown[] | undefined
  res.writeHead = (...args: unknown[]) => {
    given = args
    return res
  }
  res.end = (...args: unknown[]) => {
    setImmediate(() => {
      res.writeHead = writeHead
      if (given !== undefined) writeHead(...given)
      end(...args)
    })
    return res
  }
  next()
}

function setInEnd(_req: Request, res: Response, next: NextFunction): void {
  const end = res.end.bind(res) as (...args: unknown[]) => Response
  res.end = (...args: unknown[]) => {
    res.setHeader('X-End', '1')
    return end(...args)
  }
  next()
}

function fileOf(answering: Answering): void {
  const { req, res } = express(answering)
  req.url = '/file.txt'
  serveFile(req, res, () => res.end('not found'))
}

function proxied(answering: Answering): void {
  const { req, res } = express(answering)
  req.url = '/upstream'
  void proxy(req, res, error => res.end(`not proxied: ${String(error)}`))
}

function surfaceOf(framework: (typeof frameworks)[number], place: Place, make: Library['make']): Surface {
  return {
    name: `${framework.name}, mounted ${place}`,
    start: (handle, routes) => {
      const app = framework.express()
      app.disable('x-powered-by')
      for (const [path, options] of Object.entries(routes)) {
        const guards = options === undefined ? [] : [dspinlock(options as never)]
        const handlers: RequestHandler[] = place === 'before' ? [make(), ...guards] : [...guards, make()]
        app.all(path, ...handlers, (req, res) => handle(req, res, req.dspinlock))
      }
      return serve(app)
    },
  }
}

describe('other middleware', () => {
  const topic = openTopic('Other middleware', 'other-middleware.test.ts')
  let upstream: Server

  before(async () => {
    upstream = createServer((req, res) => {
      void text(req).then(body => {
        res.setHeader('Set-Cookie', 'upstream=1')
        res.setHeader('X-Upstream', String(req.headers['content-length']))
        res.write('from upstream: ')
        res.end(body)
      })
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => upstream.once('listening', resolve))
    const target = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
    proxy = createProxyMiddleware({ target }) as RequestHandler
  })
  after(() => {
    upstream.close()
    upstream.closeAllConnections()
  })

  for (const { name, make, places = BOTH, behaviour, except } of libraries) {
    for (const place of places) {
      const difference = except?.[place]
      const one: Behaviour = {
        ...behaviour,
        what: `${name}, mounted ${place}`,
        isFramedOutside: place === 'before',
        ...(difference === undefined ? {} : { except: difference }),
      }
      const surfaces = frameworks.map(framework => surfaceOf(framework, place, make))
      describeBehaviours(topic, surfaces, [one])
    }
  }

  it('an `end` that gives nothing back is called once, also where all was written before', async () => {
    for (const { express: make } of frameworks) {
      const store = redisStore(redisUrl(), { prefix: `other-middleware-${process.pid}` })
      let ends = 0
      const app = make()
      const countEnds: RequestHandler = (_req, res, next) => {
        const end = res.end.bind(res) as (...args: unknown[]) => Response
        res.end = ((...args: unknown[]) => {
          ends++
          end(...args)
        }) as unknown as Response['end']
        next()
      }
      app.post('/', countEnds, dspinlock({ store }), (_req, res) => {
        res.setHeader('Content-Length', 5)
        res.write('whole')
        res.end()
      })
      const server = await serve(app)
      expect([(await server.ask('/', { method: 'POST' })).body, ends]).to.deep.equal(['whole', 1])
      await server.stop()
      await store.close()
    }
  })

  it('http-proxy-middleware whose upstream breaks off when the client has left: its key is free once the proxy says so', async () => {
    for (const { express: make } of frameworks) {
      let reached = 0
      const sockets: Socket[] = []
      const breaking = createServer((req, res) => {
        sockets.push(req.socket)
        if (++reached > 1) res.end('its own')
      }).listen(0, '127.0.0.1')
      await once(breaking, 'listening')
      const app = make()
      const on = { econnreset: (_error: Error, req: IncomingMessage) => endWithoutResponse(req, 'cut') }
      const target = `http://127.0.0.1:${(breaking.address() as AddressInfo).port}`
      app.post('/', dspinlock(), createProxyMiddleware({ target, on }) as RequestHandler)
      const server = await serve(app)
      const client = await server.dial('POST / HTTP/1.1\r\nHost: h\r\n\r\n')
      await until(() => reached === 1, 'the upstream has the request')
      client.destroy()
      await server.left()
      sockets[0]?.destroy()
      expect((await server.ask('/', { method: 'POST', headers: { host: 'h' } })).body).to.equal('its own')
      await server.stop()
      breaking.close()
      breaking.closeAllConnections()
    }
  })

  for (const place of BOTH) {
    const lines: string[] = []
    const make = (): RequestHandler =>
      morgan(':method :status :res[content-length] :res[content-type] :res[x-one]', {
        stream: { write: line => void lines.push(line.trim()) },
      })
    const one: Behaviour = {
      what: `morgan, mounted ${place}: the same lines`,
      answer: ({ res, note }) => {
        lines.length = 0
        res.setHeader('X-One', '1')
        res.setHeader('Content-Length', 4)
        res.once('close', () => note(`late ${lines.join()}`))
        res.end('body')
      },
    }
    describeBehaviours(
      topic,
      frameworks.map(framework => surfaceOf(framework, place, make)),
      [one],
    )
  }
})
