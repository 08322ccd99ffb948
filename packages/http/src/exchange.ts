// What an adapter hands in: one request of its framework, and the few things only the framework can do.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Reply } from './reply.js'
import type { Ending } from './request-state.js'
import type { Settlement } from './settlement.js'

/** What a handler may know of the lock it runs under. */
export interface RequestLock {
  /**
   * `holder`: the only one at work on this key. `pass`: duplicates may run at the same time, because an earlier
   * response could not be shared. `bypassed`: the store failed, and `onStoreError: 'bypass'` let the request through.
   */
  readonly role: 'holder' | 'pass' | 'bypassed'
  /** A digest; says nothing about the request. */
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
  /** The framework's, for the functions among the options. */
  readonly request: Req
  readonly response: Res
  /** Path and query as the client sent them, also below a mount path. */
  readonly url: string
  /** As it is by now, where something in front of us may have rewritten it. Left out: as it was. */
  readonly currentUrl?: string
  /** Of the route, where the framework chooses it by more than method, host and path: by a header, say. */
  readonly version?: string | undefined
  /** The framework sets the prototypes of `req` and `res`, and links them as `req.res` and `res.req`: see shareShape. */
  readonly setsPrototypes?: boolean
  /** Mounted on a route rather than app-wide. */
  readonly onRoute: boolean
  /** The route as its framework has it, for example `/orders/:id`: a label for metrics. Never of the client's making. */
  readonly route?: () => string | undefined
  /** A parser ran before us. */
  readonly isParsed: boolean
  /** What it made of the body. */
  readonly parsedBody: unknown
  /** Shows the handler its lock. */
  expose(lock: RequestLock): void
  /** Hands the request on. */
  proceed(): void
  /** Answers in place of the handler. Left out: by Node's response, at once. */
  readonly answer?: (reply: Reply) => void
  /**
   * Watches what the handler answers, and ends `settlement` with it. Returns what can end the hold earlier. Left out: Node's response
   * is watched.
   */
  readonly watch?: (settlement: Settlement) => Ending
  /** Hands an error of one of the user's functions to the framework. */
  fail(error: unknown): void
}
