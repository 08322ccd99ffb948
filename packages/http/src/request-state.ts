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

const states = new WeakMap<IncomingMessage, RequestState>()

export function stateOf(req: IncomingMessage): RequestState {
  let state = states.get(req)
  if (state === undefined) {
    state = { seenBy: [], body: undefined, ending: undefined }
    states.set(req, state)
  }
  return state
}

/**
 * For adapters whose framework drops a request without ending its response. `'unbegun'`: the work did not run, and the key
 * is free at once. `'cut'`: it ran, but the client left and the framework sends nothing any more; on safe methods the
 * next duplicate runs, on others duplicates are told that it is done.
 */
export function endWithoutResponse(req: IncomingMessage, how: 'unbegun' | 'cut'): void {
  const ending = states.get(req)?.ending
  if (how === 'unbegun') ending?.release()
  else ending?.cut()
}
