// Publishes the outcome of each request on tracing channels: start and end of one passage carry the same object, made only while somebody listens.

import { tracingChannel } from 'node:diagnostics_channel'
import type { HoldTrace } from '@dspinlock/core'
import {
  completeTrace as complete,
  holderOf,
  isTraced,
  runTraced,
  type TraceChannel,
  whenAnswered,
} from '@dspinlock/core/support'
import { methodOf } from './eligible.js'
import type { Exchange } from './exchange.js'
import { isGone } from './gone.js'
import type { ProblemCode } from './messages.js'

/**
 * `run`: the request was the holder and was handed on. `replayed`: answered with an earlier response. `collapsed`: answered with the
 * response that it waited for. `refused`: answered with a problem, which `code` names. `passed`: handed on without a hold under a pass
 * mark. `bypassed`: handed on without a hold because the store failed. `local`: handed on under a lock of this process because the store
 * failed. `unguarded`: handed on because of `skip`, a missing key, a body that cannot be compared, a HEAD for which there is no record, or
 * because the middleware had seen the request before. `gone`: its client left before. `failed`: one of the user's functions threw, and the
 * error was handed to the framework.
 */
export type RequestOutcome =
  | 'run'
  | 'replayed'
  | 'collapsed'
  | 'refused'
  | 'passed'
  | 'bypassed'
  | 'local'
  | 'unguarded'
  | 'gone'
  | 'failed'

/** One request that came to a middleware, until it was handed on or answered. */
export interface RequestTrace {
  readonly method: string
  /** The route as the framework names it, for example `/orders/:id`; undefined if the framework knows none yet, as app-wide. */
  readonly route: string | undefined
  /** Undefined until the end. */
  readonly outcome: RequestOutcome | undefined
  /** The code of a refusal. */
  readonly code: ProblemCode | undefined
  readonly error: unknown
}

/** One answer to a duplicate from a recorded response. */
export interface ReplayTrace {
  readonly request: RequestTrace
  readonly ageMs: number
  /** The duplicate waited for the response while it was in flight. */
  readonly joined: boolean
  /** Size of the record, in bytes. */
  readonly recordBytes: number
  /** The hold that left the record, if it was in this process and is still known. */
  readonly holder: HoldTrace | undefined
  /** The span of that hold as a W3C `traceparent`, if it had one, whichever process it was in. */
  readonly traceparent: string | undefined
  readonly error: unknown
}

type Tracing = {
  /** From arriving at a middleware to being handed on or answered. */
  readonly request: TraceChannel<RequestTrace>
  /** Answering a duplicate with a record: the last part of a request that was `replayed` or `collapsed`. */
  readonly replay: TraceChannel<ReplayTrace>
}

/** Named `dspinlock:request` and `dspinlock:replay`, published in the same order as those of core. */
export const requestTracing: Tracing = Object.freeze({
  request: tracingChannel<unknown, RequestTrace>('dspinlock:request'),
  replay: tracingChannel<unknown, ReplayTrace>('dspinlock:replay'),
})

interface RequestCall extends RequestTrace {
  outcome: RequestOutcome | undefined
  code: ProblemCode | undefined
  error: unknown
}

/** The call of each exchange; empty while nobody listens. */
const calls = new WeakMap<object, RequestCall>()

type AnyExchange = Pick<Exchange, 'req' | 'res' | 'route'>

/** Runs `see`, during which the functions below note the outcome of the request. */
export function followRequest<R extends void | Promise<void>>(exchange: AnyExchange, see: () => R): R {
  if (!isHeard()) return see()
  const call: RequestCall = {
    method: methodOf(exchange.req),
    route: exchange.route?.(),
    outcome: undefined,
    code: undefined,
    error: undefined,
  }
  calls.set(exchange, call)
  return whenAnswered<void, void>(
    () => runTraced(requestTracing.request, call, see),
    () => {
      call.outcome ??= isGone(exchange.req) ? 'gone' : 'unguarded'
      complete(requestTracing.request, call)
    },
    error => {
      call.outcome = 'failed'
      call.error = error
      complete(requestTracing.request, call)
      throw error
    },
  ) as R
}

export function noteOutcome(exchange: object, outcome: RequestOutcome, code?: ProblemCode): void {
  const call = calls.get(exchange)
  // A request under a lock of this process only also comes to `run`, but its outcome stays `local`.
  if (call === undefined || (call.outcome === 'local' && outcome === 'run')) return
  call.outcome = outcome
  call.code = code
}

/** The label for the engine, so that its measurements tell the routes apart. */
export function labelOf(exchange: object): string | undefined {
  return calls.get(exchange)?.route
}

export interface ReplayFacts {
  readonly record: Uint8Array
  readonly ageMs: number
  readonly joined: boolean
  readonly traceparent: string | undefined
}

/** Runs `answer`, which answers a duplicate from a record. */
export function followReplay(exchange: object, given: ReplayFacts, answer: () => void): void {
  const request = calls.get(exchange)
  if (request === undefined) return answer()
  const { record, ...facts } = given
  request.outcome = facts.joined ? 'collapsed' : 'replayed'
  const trace = { ...facts, request, recordBytes: record.byteLength, holder: holderOf(record), error: undefined }
  runTraced(requestTracing.replay, trace, answer)
  complete(requestTracing.replay, trace)
}

function isHeard(): boolean {
  const { request, replay } = requestTracing
  return request.hasSubscribers || replay.hasSubscribers || isTraced()
}
