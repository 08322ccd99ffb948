// A Koa request as the Exchange that @dspinlock/http needs, and its outcome as Koa needs it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Exchange, type Reply, type RequestLock, readParsedBody, type Settlement } from '@dspinlock/http'
import type { Context, Next } from 'koa'
import { setAnswer } from './answer.js'
import { Downstream } from './downstream.js'
import { routeOf } from './route.js'

/** One for each request. It is a class because it is on every request's path (docs/decisions/072). */
export class KoaExchange implements Exchange<Context, Context> {
  readonly request: Context
  readonly onRoute: boolean
  /** The URL as the client sent it; koa-mount and rewriting middleware change `url` and `path`. */
  readonly url: string
  readonly currentUrl: string
  readonly isParsed: boolean
  readonly parsedBody: unknown
  readonly #next: Next
  /** Undefined if there is no hold for the request. */
  #downstream: Downstream | undefined
  #goesOn = false
  #failure: { readonly error: unknown } | undefined

  constructor(ctx: Context, next: Next, onRoute: boolean) {
    this.request = ctx
    this.onRoute = onRoute
    this.url = ctx.originalUrl
    this.currentUrl = ctx.url
    const left = ctx.request as Parsed
    // @koa/bodyparser leaves the raw body beside the parsed one, and only `{}` for a body that it does not parse.
    const { isParsed, parsedBody } = readParsedBody(ctx.req, left, left.rawBody !== undefined)
    this.isParsed = isParsed
    this.parsedBody = parsedBody
    this.#next = next
  }

  get response(): Context {
    return this.request
  }

  get req(): IncomingMessage {
    return this.request.req
  }

  get res(): ServerResponse {
    return this.request.res
  }

  route(): string | undefined {
    return routeOf(this.request)
  }

  expose(lock: RequestLock): void {
    this.request.state.dspinlock = lock
  }

  answer(reply: Reply): void {
    setAnswer(this.request, reply)
  }

  watch(settlement: Settlement): Downstream {
    this.#downstream = new Downstream(this.request, settlement)
    return this.#downstream
  }

  proceed(): void {
    this.#goesOn = true
  }

  fail(error: unknown): void {
    this.#failure = { error }
  }

  /** Called when @dspinlock/http is through with the request: what the middleware resolves or rejects with. */
  goOn(): Promise<void> {
    if (!this.#goesOn || this.#failure !== undefined || this.#downstream === undefined) return this.#goOnUnwatched()
    return this.#downstream.through(this.#next)
  }

  async #goOnUnwatched(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#goesOn) await this.#next()
  }
}

/** What @koa/bodyparser, koa-body and @koa/multer leave on `ctx.request`. */
interface Parsed {
  readonly body?: unknown
  readonly rawBody?: unknown
  readonly file?: unknown
  readonly files?: object
}
