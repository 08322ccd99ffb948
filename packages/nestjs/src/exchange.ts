// One request that Nest handed to an interceptor or a guard, as the Exchange that @dspinlock/http needs.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Exchange, type Reply, type RequestLock, sendReply } from '@dspinlock/http'
import type { AnyGuard } from './lock-set.js'
import type { Target } from './target.js'

/** A request that is to be guarded, and the guard for it. */
export interface Admission {
  readonly guard: AnyGuard
  readonly target: Target
  readonly onRoute: boolean
  readonly version: string | undefined
}

/** How a request goes on, which is different for an interceptor and a guard. */
export interface Way {
  expose(lock: RequestLock): void
  /** The request is about to be answered in place of its handler. */
  expectAnswer(): void
  proceed(): void
  fail(error: unknown): void
}

/** One for each request. It is a class because it is on every request's path (docs/decisions/072). */
export class NestExchange implements Exchange<object, object> {
  readonly onRoute: boolean
  readonly version: string | undefined
  readonly #target: Target
  readonly #way: Way
  readonly #hideHeaders: (() => void) | undefined

  constructor({ target, onRoute, version }: Admission, way: Way) {
    this.onRoute = onRoute
    this.version = version
    this.#target = target
    this.#way = way
    this.#hideHeaders = target.showHeaders?.()
  }

  get req(): IncomingMessage {
    return this.#target.req
  }

  get res(): ServerResponse {
    return this.#target.res
  }

  get request(): object {
    return this.#target.request
  }

  get response(): object {
    return this.#target.response
  }

  get setsPrototypes(): boolean {
    return this.#target.setsPrototypes
  }

  get url(): string {
    return this.#target.url
  }

  get currentUrl(): string {
    return this.#target.currentUrl
  }

  get isParsed(): boolean {
    return this.#target.isParsed
  }

  get parsedBody(): unknown {
    return this.#target.parsedBody
  }

  route(): string | undefined {
    return this.#target.route()
  }

  expose(lock: RequestLock): void {
    ;(this.#target.request as { dspinlock?: RequestLock }).dspinlock = lock
    this.#way.expose(lock)
  }

  proceed(): void {
    this.#hideHeaders?.()
    this.#way.proceed()
  }

  answer(reply: Reply): void {
    this.#way.expectAnswer()
    this.#target.takeOver?.()
    sendReply(this.#target.res, reply)
  }

  fail(error: unknown): void {
    this.#hideHeaders?.()
    this.#way.fail(error)
  }
}
