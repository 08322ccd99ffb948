// The same application without dspinlock, and with it under each policy: its answers contain everything that a key is made of.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { type DspinlockHandler, type DspinlockOptions, dspinlock } from '@dspinlock/express'
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from 'express'

export interface FuzzServer {
  readonly name: string
  readonly port: number
  readonly guards: readonly DspinlockHandler[]
  stop(): Promise<void>
}

/** Larger bodies are not compared. */
export const MAX_BODY_BYTES = 4_000

/** `options` is undefined for the server without dspinlock. */
export async function startServer(name: string, options: DspinlockOptions | undefined): Promise<FuzzServer> {
  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', 'extended').set('trust proxy', true)
  app.use((req, res, next) => {
    // Marks answers of the application, to tell them from those of Node itself.
    res.set('X-App', req.method)
    next()
  })
  const guards: DspinlockHandler[] = []
  const guard = (more: DspinlockOptions = {}): RequestHandler => {
    if (options === undefined) return (_req, _res, next) => next()
    const made = dspinlock({ ...options, maxBodyBytes: MAX_BODY_BYTES, ...more })
    guards.push(made)
    return made
  }
  const raw: RequestHandler = (req, res, next) => {
    buffer(req).then(
      body => setImmediate(() => res.send(describe(req, createHash('sha256').update(body).digest('hex')))),
      next,
    )
  }
  app.all('/json', express.json({ limit: MAX_BODY_BYTES }), guard(), (req, res) => {
    const body: unknown = req.body
    setImmediate(() => res.send(describe(req, JSON.stringify(sortKeys(body)))))
  })
  const idempotent: DspinlockOptions =
    options?.duplicates === 'replay' ? { idempotencyKey: { required: false, docsUrl: 'https://docs.test/' } } : {}
  app.all('/idem', guard(idempotent), raw)
  app.all('/stream', guard(), (req, res, next) => {
    buffer(req).then(body => {
      res.type('text/plain').write(describe(req, body.toString('hex')))
      setImmediate(() => res.end('end'))
    }, next)
  })
  app.all('/:echo', guard(), raw)
  const onError: ErrorRequestHandler = (error: { readonly status?: number }, _req, res, _next) => {
    if (res.headersSent || res.destroyed) return
    res.status(error.status ?? 500).send('an error')
  }
  app.use(onError)
  const server: Server & { httpAllowHalfOpen?: boolean } = createServer(
    { keepAliveTimeout: 1_000, requestTimeout: 500, headersTimeout: 500, connectionsCheckingInterval: 50 },
    app,
  )
  // A client that half-closes its connection still gets its answer.
  server.httpAllowHalfOpen = true
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    name,
    port: (server.address() as AddressInfo).port,
    guards,
    stop: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
      await Promise.all(guards.map(one => one.close()))
    },
  }
}

/** What two requests must have in common to have one answer. */
function describe(req: Request, body: string): string {
  const said = [
    'authorization',
    'cookie',
    'x-api-key',
    'x-forwarded-host',
    'x-forwarded-proto',
    'x-http-method-override',
    'content-type',
    'content-encoding',
  ].map(name => req.headers[name])
  const path = req.originalUrl.split('?')[0]
  return JSON.stringify([
    req.method,
    req.headers.host?.toLowerCase(),
    req.hostname,
    path,
    sortKeys(req.query),
    said,
    body,
  ])
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? '-0' : value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, of]) => ({ key, of: sortKeys(of) }))
}
