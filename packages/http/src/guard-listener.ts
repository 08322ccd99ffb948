// A guard in front of a whole server: it wraps any listener of node:http and runs before the framework sees the request.

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { type LockEngine, publishTrouble } from '@dspinlock/core'
import { isPromise, optionError } from '@dspinlock/core/support'
import type { Exchange, RequestLock } from './exchange.js'
import { isGone } from './gone.js'
import { createGuard } from './guard.js'
import type { GuardOptions } from './options.js'
import { endWithoutResponse } from './request-state.js'

/** What node:http, an Express app, `koa.callback()` and `fastify.routing` have in common. */
export type Listener = (req: IncomingMessage, res: ServerResponse) => unknown

/** The request as the listener gets it: Express' `req` is this very object; in Koa it is `ctx.req`, in Fastify `request.raw`. */
export interface GuardedRequest extends IncomingMessage {
  /** The lock that the request runs under; undefined if the request is not guarded. */
  dspinlock?: RequestLock
}

export interface GuardedListener {
  (req: IncomingMessage, res: ServerResponse): void
  readonly engine: LockEngine
  /**
   * Refuses newcomers with 503 and lets holders finish; of several that share a store, only the last one to be closed does. A store that
   * was given stays open, and so does an engine, which then has a `close()` for this.
   */
  close(): Promise<void>
}

/**
 * Wraps a listener: `createServer(guard(app, { methods: ['GET'], duplicates: 'replay', ttlMs: 60_000 }))`. Duplicates are answered
 * before the framework runs, which **skips all of its middleware**: authentication, permissions, rate limits, logs. For `ttlMs`, a
 * replay goes to every client that sends the same credentials, even after these were revoked. See docs/in-front.md for when that is
 * right; otherwise mount the framework's own dspinlock middleware behind the authentication.
 *
 * Guards POST, PUT, PATCH and DELETE unless `methods` says otherwise. The functions among the options get Node's request and
 * response; if one of them throws, the answer is 500 and the error is published as trouble. An error that the listener throws is
 * uncaught, as it is without this guard.
 * @throws TypeError for a listener that is no function, and naming option and value for wrong options.
 */
export function guard(listener: Listener, options?: GuardOptions): GuardedListener {
  if (typeof listener !== 'function') {
    throw optionError('listener', listener, 'a function, for example an Express app or koa.callback()')
  }
  const inFront = createGuard(options)
  const guarded = (req: GuardedRequest, res: ServerResponse): void => {
    if (inFront.guards(req, false)) void inFront.handle(new NodeExchange(listener, req, res))
    else listener(req, res)
  }
  return Object.assign(guarded, { engine: inFront.engine, close: () => inFront.close() })
}

class NodeExchange implements Exchange {
  readonly req: GuardedRequest
  readonly res: ServerResponse
  readonly onRoute = false
  readonly isParsed = false
  readonly parsedBody = undefined
  readonly url: string
  readonly #listener: Listener

  constructor(listener: Listener, req: GuardedRequest, res: ServerResponse) {
    this.#listener = listener
    this.req = req
    this.res = res
    this.url = req.url ?? ''
  }

  get request(): GuardedRequest {
    return this.req
  }

  get response(): ServerResponse {
    return this.res
  }

  expose(lock: RequestLock): void {
    this.req.dspinlock = lock
  }

  proceed(): void {
    handOn(this.#listener, this.req, this.res)
  }

  fail(error: unknown): void {
    answerFailure(this.res, error)
  }
}

/** No caller could catch what the listener throws, so it becomes an uncaught exception. */
function handOn(listener: Listener, req: IncomingMessage, res: ServerResponse): void {
  try {
    const work = listener(req, res)
    if (isPromise(work)) void endWithWork(work, req, res)
  } catch (error) {
    // If the process survives the error, duplicates must not wait for a response that never comes.
    endWithoutResponse(req, 'cut')
    process.nextTick(() => {
      throw error
    })
  }
}

/**
 * Listeners made for web requests and responses (GraphQL Yoga, streams of Hono) drop their response when the client has left, and never end it.
 * Only their promise tells that the work is over. If it rejects, so does ours, and Node says so as it does without this guard.
 */
async function endWithWork(work: PromiseLike<unknown>, req: IncomingMessage, res: ServerResponse): Promise<void> {
  let isDropped = true
  try {
    await work
    // On HTTP/2, and while the response waits behind others, only the request knows.
    isDropped = res.destroyed || isGone(req)
  } finally {
    if (isDropped && !res.writableEnded) endWithoutResponse(req, 'cut')
  }
}

/** Answers 500, because there is no framework to hand the error to. */
function answerFailure(res: ServerResponse, error: unknown): void {
  publishTrouble('http', 'guard', error)
  if (res.headersSent || res.writableEnded || res.destroyed) return
  res.writeHead(500, { 'Content-Type': 'text/plain' }).end(STATUS_CODES[500])
}
