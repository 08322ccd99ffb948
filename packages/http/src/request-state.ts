// What one middleware of ours leaves with a request for the next one of ours.

import type { IncomingMessage } from 'node:http'
import type { BodyRead } from './body.js'

export interface RequestState {
  /** The middlewares that saw the request. */
  readonly seenBy: object[]
  /** The body, if one of them read all of it; one that is too large for this mount may not be for the next. */
  body: Extract<BodyRead, { kind: 'complete' }> | undefined
  /** Ends the hold of this request earlier than its response would. */
  ending: Ending | undefined
}

/** Both do nothing once the hold has ended. */
export interface Ending {
  /** For work that was not begun, or that another mount guards: frees the key. */
  release(): void
  /** For work that was begun, but whose response will never be whole. */
  cut(): void
}

/**
 * A property of the request and not a WeakMap, which keeps its values until the next full collection; that cost more than the rest of a
 * request's passage. All copies of this module share it, of which npm may install several: otherwise one copy would wait for the hold
 * that another has for the same request. If a change of `RequestState` would mislead older copies, change the name as well.
 */
const STATE = Symbol.for('dspinlock')

interface Marked {
  [STATE]?: RequestState
}

/** Undefined if no middleware of ours has handed the request on. */
export function readState(req: IncomingMessage): RequestState | undefined {
  return (req as Marked)[STATE]
}

/** Called before the request is handed on, for the next middleware of ours; a request that is answered here reaches none. */
export function leaveState(req: IncomingMessage, state: RequestState): void {
  ;(req as Marked)[STATE] = state
}

/**
 * For adapters whose framework drops a request without ending its response. `'unbegun'`: the work did not run, and the key is free
 * at once. `'cut'`: it ran, but the client left and the framework sends nothing any more; with a safe method the next duplicate runs,
 * with others duplicates are told that the work is done.
 */
export function endWithoutResponse(req: IncomingMessage, how: 'unbegun' | 'cut'): void {
  const ending = readState(req)?.ending
  if (how === 'unbegun') ending?.release()
  else ending?.cut()
}
