// Ends a hold when its response has ended: decides what duplicates will get, and for how long the last bytes wait for the store.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { type MaybePromise, publishTrouble } from '@dspinlock/core'
import { traceOf } from '@dspinlock/core/support'
import { isCutShort } from './body.js'
import { digestHeader } from './digest.js'
import type { RequestHold } from './identity-limit.js'
import { SettleTimeoutError } from './messages.js'
import type { GuardSettings } from './options.js'
import { encodeRecord, tombstone } from './record.js'
import type { Outcome } from './recorder.js'
import {
  type HeaderPairs,
  isCallersOwn,
  isFailure,
  isReplayable,
  listUnkeyedVary,
  mayRunAgain,
  selectStorable,
} from './replayable.js'

/**
 * Ends one hold; called by the code that watches the response. Of all calls of these functions, the first one counts. None of them throws
 * or rejects: the engine publishes what goes wrong, and a failure must not affect the response.
 */
export interface Settlement {
  /** Whether duplicates may be given the response. If not, only its end is of use, not its head and body. */
  readonly keepsBody: boolean
  /** Whether later duplicates find out that there was a response, so that it matters whether it failed. */
  readonly leavesRecord: boolean
  readonly maxRecordBytes: number
  readonly settleTimeoutMs: number
  /** Whether the last bytes are to wait for the promises that these functions return; if not, the functions return none. */
  readonly holdsBack: boolean
  /** The response ended, or was cut short. A returned promise takes `settleTimeoutMs` at most. */
  end(outcome: Outcome): Promise<void> | undefined
  /** The work threw, and the framework will answer with this status where we cannot see it. */
  fail(status: number): Promise<void> | undefined
  /** Ends the hold without a record: another mount guards the work, or none was done. */
  release(): Promise<void> | undefined
}

export interface SettlementInput<Req, Res> {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly hold: RequestHold
  readonly settings: GuardSettings<Req, Res>
  /** Request headers, in lower case, that the key covers. */
  readonly covered: ReadonlySet<string>
  /** Several people may have the same key. */
  readonly isShared: boolean
  /** The store answers at once, so that nothing has to wait for it. */
  readonly isSynchronous: boolean
}

/** The request as it came to us: middleware further in may change it, and remove headers that the response varies by. */
type Asked = Pick<IncomingMessage, 'method' | 'headers'>

export class HoldSettlement<Req, Res> implements Settlement {
  readonly keepsBody: boolean
  readonly leavesRecord: boolean
  readonly maxRecordBytes: number
  readonly settleTimeoutMs: number
  readonly holdsBack: boolean
  readonly #input: SettlementInput<Req, Res>
  readonly #asked: Asked

  constructor(input: SettlementInput<Req, Res>) {
    const { req, settings } = input
    this.#input = input
    this.keepsBody = settings.policy.duplicates === 'replay'
    this.leavesRecord = this.keepsBody || settings.policy.ttlMs > 0
    this.#asked = { method: req.method, headers: this.keepsBody ? { ...req.headers } : {} }
    this.maxRecordBytes = settings.maxRecordBytes
    this.settleTimeoutMs = settings.settleTimeoutMs
    this.holdsBack = settings.settle === 'before-end' && !input.isSynchronous
  }

  end(outcome: Outcome | Unseen): Promise<void> | undefined {
    try {
      return this.#bound(end(this, this.#input, this.#asked, outcome))
    } catch {
      return undefined
    }
  }

  fail(status: number): Promise<void> | undefined {
    // A handler that refuses by throwing leaves no record; for failures, the option `serverErrors` decides.
    return status >= 500 ? this.end({ status, complete: true }) : this.release()
  }

  release(): Promise<void> | undefined {
    try {
      return this.#bound(this.#input.hold.release())
    } catch {
      return undefined
    }
  }

  /** Bounds the wait for the store and swallows its errors, which the engine publishes and the response must not see. */
  #bound(answer: MaybePromise<boolean>): Promise<void> | undefined {
    if (!(answer instanceof Promise)) return undefined
    const ended = answer.catch(() => false)
    return this.holdsBack ? waitAtMost(ended, this.settleTimeoutMs, this.#input.hold.key) : undefined
  }
}

/** Of a response that is not ours to see. */
type Unseen = Pick<Outcome, 'status' | 'complete'> & { readonly head?: undefined }

function end<Req, Res>(
  { keepsBody, leavesRecord }: HoldSettlement<Req, Res>,
  input: SettlementInput<Req, Res>,
  asked: Asked,
  outcome: Outcome | Unseen,
): MaybePromise<boolean> {
  const { req, hold, settings, isShared } = input
  const { status, complete } = outcome
  if (!leavesRecord || isFailure(status, settings.serverErrors === 'keep')) return hold.release()
  // What a handler says of half a body is no answer to a retry that sends the whole one.
  if (!(complete && status < 400) && isCutShort(req)) return hold.release()
  if (keepsBody) {
    const record = makeRecord(input, asked, outcome)
    if (record !== undefined) return settleWith(input, record)
    if (mayRunAgain(asked.method, settings.onUnreplayable)) return hold.release({ passMs: settings.passMs })
  }
  // If the request was refused for what may be its own caller's fault, nothing was done, so others must not be told that it was.
  return isShared && isCallersOwn(status) ? hold.release() : settleWith(input, tombstone)
}

function settleWith<Req, Res>(
  { hold, settings }: SettlementInput<Req, Res>,
  record: Uint8Array,
): MaybePromise<boolean> {
  return hold.settle(settings.encryptionKeys?.seal(record, hold.key) ?? record)
}

/** Undefined if duplicates may not be given this response. */
function makeRecord<Req, Res>(
  { res, hold, settings, covered, isShared }: SettlementInput<Req, Res>,
  { headers }: Asked,
  outcome: Outcome | Unseen,
): Uint8Array | undefined {
  if (outcome.head === undefined || outcome.body === undefined) return undefined
  const { status, head, body, form, tooLarge, hasTrailers, complete } = outcome
  const said = withOutside(head.headers, res, settings.identity === 'public')
  // Not by spreading the outcome, which takes longer than all the rest of this.
  const facts = {
    status,
    headers: said,
    complete,
    hasTrailers,
    tooLarge,
    bodyBytes: body.byteLength,
    isShared,
  }
  if (!isReplayable(facts)) return undefined
  const names = listUnkeyedVary(said, covered)
  try {
    return encodeRecord({
      status,
      message: head.message,
      headers: selectStorable(head.headers),
      removed: head.removed,
      vary: names.map(name => [name, digestHeader(headers, name, settings.secret)] as const),
      body,
      form,
      traceparent: traceOf(hold)?.traceparent,
    })
  } catch (error) {
    // The response has more headers than a record has room for. The hold has to end all the same.
    publishTrouble('http', 'encode', error, hold.key)
    return undefined
  }
}

/**
 * What is set outside is not kept, because it is set anew for each duplicate, but it says as well for whom the response is: middleware in
 * front chooses a language, or begins a session. Not how it is encoded, which is done anew, too. Where all are said to share, only Vary counts.
 */
function withOutside(headers: HeaderPairs, res: ServerResponse, isPublic: boolean): HeaderPairs {
  let said = headers
  for (const name of isPublic ? ['vary'] : ['vary', 'cache-control', 'set-cookie']) {
    const value = res.getHeader(name)
    if (value !== undefined) said = [...said, [name, String(value).replace(/(?<![\w-])accept-encoding(?![\w-])/i, '')]]
  }
  return said
}

function waitAtMost(answer: Promise<boolean>, timeoutMs: number, key: string): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      publishTrouble('http', 'settle', new SettleTimeoutError(timeoutMs), key)
      resolve()
    }, timeoutMs)
    void answer.then(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}
