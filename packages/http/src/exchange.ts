// What an adapter hands in: one request of its framework, and the few things that only the framework can do.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Reply } from './reply.js'
import type { Ending } from './request-state.js'
import type { Settlement } from './settlement.js'

/** What a handler may know about the lock that it runs under. */
export interface RequestLock {
  /**
   * `holder`: the only one at work on this key. `pass`: duplicates may run at the same time, because an earlier
   * response could not be shared. `bypassed`: the store failed, and `onStoreError: 'bypass'` let the request through.
   */
  readonly role: 'holder' | 'pass' | 'bypassed'
  /** A digest, from which the request cannot be read. */
  readonly key: string
  /** Grows with every hold of the key; undefined unless `holder`. */
  readonly fence: number | undefined
  /** Aborts when the hold is lost; undefined unless `holder`. */
  readonly signal: AbortSignal | undefined
}

export interface Exchange<Req = IncomingMessage, Res = ServerResponse> {
  /** Node's own request and response. */
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The framework's request and response, for the functions among the options. */
  readonly request: Req
  readonly response: Res
  /** Path and query as the client sent them, also below a mount path. */
  readonly url: string
  /** The URL as it is now, if something in front of us may have rewritten it. Left out: same as `url`. */
  readonly currentUrl?: string
  /** The route's version, if the framework chooses routes by more than method, host and path: by a header, say. */
  readonly version?: string | undefined
  /** The framework sets the prototypes of `req` and `res`, and links them as `req.res` and `res.req`: see shareShape. */
  readonly setsPrototypes?: boolean
  /** The middleware is mounted on a route rather than app-wide. */
  readonly onRoute: boolean
  /** The route as the framework names it, for example `/orders/:id`: a label for metrics, never text that comes from the client. */
  readonly route?: () => string | undefined
  /** A body parser ran before us. */
  readonly isParsed: boolean
  /** What the parser made of the body. */
  readonly parsedBody: unknown
  /** Shows the handler its lock. */
  expose(lock: RequestLock): void
  /** Hands the request on to the handler. A promise that it returns is not awaited. */
  proceed(): void
  /** Answers in place of the handler. Left out: the reply is sent by Node's response at once. */
  readonly answer?: (reply: Reply) => void
  /**
   * Watches what the handler answers, and ends `settlement` with it. Returns an object that can end the hold earlier. Left out: Node's
   * response is watched.
   */
  readonly watch?: (settlement: Settlement) => Ending
  /** Hands an error that one of the user's functions, or `proceed`, threw to the framework. Must not throw. */
  fail(error: unknown): void
}
