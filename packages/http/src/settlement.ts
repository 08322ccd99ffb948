// Ending a hold when its response has ended: what duplicates are left with, and until when the last bytes wait for it.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Hold, type MaybePromise, publishTrouble } from '@dspinlock/core'
import { holdBack } from './hold-back.js'
import { SettleTimeoutError } from './messages.js'
import type { GuardSettings } from './options.js'
import { encodeRecord, tombstone } from './record.js'
import { Recorder, type Recording } from './recorder.js'
import {
  digestHeader,
  isFailure,
  isReplayable,
  isSafeMethod,
  listUnkeyedVary,
  selectStorable,
  whenUnreplayable,
} from './replayable.js'
import type { Ending } from './request-state.js'

export interface SettlementInput<Req, Res> {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly hold: Hold
  readonly settings: GuardSettings<Req, Res>
  /** Request headers, in lower case, that the key covers. */
  readonly covered: ReadonlySet<string>
  /** The store answers at once, so that nothing has to wait for it. */
  readonly isSynchronous: boolean
}

/** Watches the response and ends the hold with it. Returns what ends the hold before. */
export function settleWith<Req, Res>(input: SettlementInput<Req, Res>): Ending {
  const { req, res, hold, settings, isSynchronous } = input
  const { policy, settleTimeoutMs } = settings
  const keepsBody = policy.duplicates === 'replay'
  const isHeldBack = settings.settle === 'before-end' && !isSynchronous && req.httpVersionMajor < 2
  // Middleware further in may remove the conditions from the request; what counts is how it came to us.
  const { method } = req
  const recorder = new Recorder(res, {
    keepsBody,
    maxBytes: settings.maxRecordBytes,
    beforeEnd: () => (isHeldBack ? holdBack(res) : undefined),
    onEnd: (recording, letGo) => {
      const answer = quietly(() => end(input, method, res.statusCode, recording, true))
      if (letGo === undefined) return
      if (answer instanceof Promise) letGoWhen(answer, letGo, settleTimeoutMs, hold.key)
      else letGo()
    },
    onAbandoned: hasHead => {
      // Before its head nothing is known of the work, and it may go on: the hold stays until it ends, or maxHoldMs.
      if (!hasHead) return
      // After it, whoever fed the response (a pipe, say) may have stopped for good. A handler that goes on ends it soon.
      setTimeout(() => {
        void quietly(() => end(input, method, res.statusCode, recorder.recording, false))
      }, settleTimeoutMs).unref()
    },
  })
  const release = (): void => {
    recorder.detach()
    void quietly(() => hold.release())
  }
  const cut = (): void => {
    if (!res.headersSent && isSafeMethod(method)) return release()
    const { recording } = recorder
    recorder.detach()
    void quietly(() => end(input, method, res.statusCode, recording, false))
  }
  return { release, cut }
}

function end<Req, Res>(
  { req, hold, settings, covered }: SettlementInput<Req, Res>,
  method: string | undefined,
  status: number,
  { head, body, tooLarge, hasTrailers }: Recording,
  complete: boolean,
): MaybePromise<boolean> {
  const { policy } = settings
  if (policy.duplicates === 'serialise' || isFailure(status)) return hold.release()
  if (policy.duplicates === 'reject') return policy.ttlMs > 0 ? hold.settle(tombstone) : hold.release()
  const isPublic = settings.identity === 'public'
  const facts = { status, headers: head?.headers ?? [], complete, hasTrailers, tooLarge, isPublic }
  if (head !== undefined && body !== undefined && isReplayable(facts)) {
    const names = listUnkeyedVary(head.headers, covered)
    return hold.settle(
      encodeRecord({
        status,
        message: head.message,
        headers: selectStorable(head.headers),
        removed: head.removed,
        vary: names.map(name => [name, digestHeader(req.headers, name)] as const),
        body: hasNoBody(status) ? Buffer.alloc(0) : body,
      }),
    )
  }
  return whenUnreplayable(method, settings.onUnreplayable) === 'pass'
    ? hold.release({ passMs: settings.passMs })
    : hold.settle(tombstone)
}

/** RFC 9110, section 6.4.1: whatever a handler writes there is not sent. */
function hasNoBody(status: number): boolean {
  return status === 204 || status === 205
}

/** The engine publishes what goes wrong; none of it is the response's business. */
function quietly(end: () => MaybePromise<boolean>): MaybePromise<boolean> {
  try {
    const answer = end()
    return answer instanceof Promise ? answer.catch(() => false) : answer
  } catch {
    return false
  }
}

function letGoWhen(answer: Promise<boolean>, letGo: () => void, timeoutMs: number, key: string): void {
  const timer = setTimeout(() => {
    publishTrouble('http', 'settle', new SettleTimeoutError(timeoutMs), key)
    letGo()
  }, timeoutMs)
  void answer.then(() => {
    clearTimeout(timer)
    letGo()
  })
}
