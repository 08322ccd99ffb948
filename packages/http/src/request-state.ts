// What middlewares of ours leave with a request for the next of them.

import type { IncomingMessage } from 'node:http'
import type { BodyRead } from './body.js'

export interface RequestState {
  /** The middlewares that saw the request. */
  readonly seenBy: object[]
  /** The body, if one of them read it. */
  body: BodyRead | undefined
  /** Ends what is held for this request before its response does. */
  ending: Ending | undefined
}

/** Both do nothing once the hold has ended. */
export interface Ending {
  /** The work was not begun, or is somebody else's matter: the key is free. */
  release(): void
  /** The work was begun, and its response will never be whole. */
  cut(): void
}

/**
 * A property of the request and not a WeakMap, which would keep its values until the next full collection: that cost more than the rest of
 * a request's passage. Shared by all copies of this module, of which npm may install several: otherwise one would wait for what another
 * holds for the same request. Change the name together with `RequestState`, if older copies would misread that.
 */
const STATE = Symbol.for('dspinlock')

interface Marked {
  [STATE]?: RequestState
}

/** Undefined where none of ours has handed the request on. */
export function readState(req: IncomingMessage): RequestState | undefined {
  return (req as Marked)[STATE]
}

/** For the next of them, before the request is handed on; what is answered here is seen by none. */
export function leaveState(req: IncomingMessage, state: RequestState): void {
  ;(req as Marked)[STATE] = state
}

/**
 * For adapters whose framework drops a request without ending its response. `'unbegun'`: the work did not run, and the key
 * is free at once. `'cut'`: it ran, but the client left and the framework sends nothing any more; on safe methods the
 * next duplicate runs, on others duplicates are told that it is done.
 */
export function endWithoutResponse(req: IncomingMessage, how: 'unbegun' | 'cut'): void {
  const ending = readState(req)?.ending
  if (how === 'unbegun') ending?.release()
  else ending?.cut()
}
