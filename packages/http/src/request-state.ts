// What middlewares of ours leave with a request for the next of them.

import type { IncomingMessage } from 'node:http'
import type { BodyRead } from './body.js'

export interface RequestState {
  /** The middlewares that saw the request. */
  readonly seenBy: Set<object>
  /** The body, if one of them read it. */
  body: BodyRead | undefined
  /** Ends what the middleware further out holds for this request; the one nearest to the handler decides. */
  endOuter: (() => void) | undefined
}

const states = new WeakMap<IncomingMessage, RequestState>()

export function stateOf(req: IncomingMessage): RequestState {
  let state = states.get(req)
  if (state === undefined) {
    state = { seenBy: new Set(), body: undefined, endOuter: undefined }
    states.set(req, state)
  }
  return state
}
