// A request's turn, from the moment when it asks for its key: wait, then run, replay or refuse.

// Not the global one, which a test with fake timers may have replaced before this module is loaded, and then no request would go on.
import { setImmediate as nextTurn } from 'node:timers'
import {
  ClosedError,
  type Entry,
  type LockEngine,
  type MaybePromise,
  publishTrouble,
  StoreError,
  WaiterLimitError,
  WaitTimeoutError,
} from '@dspinlock/core'
import { Closing, isLost } from '@dspinlock/core/support'
import { credentials, isOfMany } from './conventional-headers.js'
import { digestHeader } from './digest.js'
import type { Exchange, RequestLock } from './exchange.js'
import { isOver, lifeOf, offClose } from './gone.js'
import { type IdentityLimit, type RequestHold, whileHeld } from './identity-limit.js'
import { MalformedRecordError, type ProblemCode, problems, UnknownEncryptionKeyError, warn } from './messages.js'
import type { GuardSettings } from './options.js'
import { composeProblem } from './problem.js'
import { decodeRecord, type HttpRecord } from './record.js'
import { composeReplay } from './replay.js'
import { isSafeMethod } from './replayable.js'
import { type Reply, sendReply } from './reply.js'
import { type NameParts, nameRequest, type RequestName } from './request-name.js'
import { leaveState, type RequestState } from './request-state.js'
import { isSealed } from './sealed-record.js'
import { HoldSettlement } from './settlement.js'
import { shareShape } from './shared-shape.js'
import { inTick } from './steps.js'
import { followReplay, labelOf, noteOutcome } from './tracing.js'
import { watchResponse } from './watch-response.js'

export interface PassageTools<Req, Res> {
  readonly settings: GuardSettings<Req, Res>
  readonly engine: LockEngine
  /** Request headers, in lower case, that the key covers. */
  readonly covered: ReadonlySet<string>
  readonly identityLimit: IdentityLimit | undefined
  /** The engine that `onStoreError: 'local'` falls back to. */
  readonly localEngine: () => LockEngine
}

/** How many records in a row may be malformed or of another variant before a request gives up looking for its own. */
const MAX_ROUNDS = 5

/** Everything that is kept of a request while it waits. */
export interface Turn<Req, Res> extends NameParts {
  readonly exchange: Exchange<Req, Res>
  readonly tools: PassageTools<Req, Res>
  readonly state: RequestState
  /** Ends the request's counting towards the limit of its identity. */
  readonly leave: (() => void) | undefined
  variant: NameParts['variant']
  rounds: number
  /** The key's last fence at the time when a malformed record was seen. */
  doubted: number | undefined
  /** The body flowed to other code, and was paused. */
  isPaused?: boolean | null
}

export function takeTurn<Req, Res>(turn: Turn<Req, Res>): MaybePromise<void> {
  const { exchange, tools } = turn
  const { settings, engine } = tools
  if (turn.rounds++ === MAX_ROUNDS) return refuse(exchange, settings, 'unavailable')
  const name = nameRequest(exchange, settings, turn)
  return name === undefined ? handOn(turn) : enter(turn, name, engine)
}

function enter<Req, Res>(turn: Turn<Req, Res>, name: RequestName, engine: LockEngine): MaybePromise<void> {
  const { exchange, tools } = turn
  const { policy } = tools.settings
  const { key, payload } = name
  const label = labelOf(exchange)
  let entry: Entry | undefined
  try {
    entry = engine.enterAtOnce(key, policy, { payload, label })
  } catch (error) {
    return onError(turn, name, error, engine)
  }
  // A HEAD gives its hold back at once, before others find the key held.
  if (entry && exchange.req.method === 'HEAD') return onEntry(turn, key, entry)
  if (entry) return inTick(() => onEntry(turn, key, entry), nextTurn)
  const signal = new Closing(lifeOf(exchange.res))
  return engine.enter(key, policy, { payload, label, signal }).then(
    given => inTick(() => onEntry(turn, key, given)),
    (error: unknown) => inTick(() => (signal.aborted ? undefined : onError(turn, name, error, engine))),
  )
}

function onError<Req, Res>(
  turn: Turn<Req, Res>,
  name: RequestName,
  error: unknown,
  engine: LockEngine,
): MaybePromise<void> {
  const { exchange, tools } = turn
  const { onStoreError } = tools.settings
  if (error instanceof StoreError && onStoreError !== 'reject' && engine === tools.engine) {
    publishTrouble('http', onStoreError, error, name.key)
    if (onStoreError === 'bypass') return goWithout(turn, name.key, 'bypassed')
    noteOutcome(exchange, onStoreError)
    return enter(turn, name, tools.localEngine())
  }
  const code = codeOf(error)
  if (code === undefined) throw error
  return refuse(exchange, tools.settings, code)
}

function onEntry<Req, Res>(turn: Turn<Req, Res>, key: string, entry: Entry): MaybePromise<void> {
  const { exchange, tools } = turn
  const { settings } = tools
  // Only after the wait, during which it would make both objects take more memory.
  shareShape(exchange, exchange.req, 'res')
  shareShape(exchange, exchange.res, 'req')
  if (entry.role !== 'follower') return act(turn, key, entry)
  const record = openRecord(entry.record, settings, key)
  if (record === 'unknown-key') return refuse(exchange, settings, 'unavailable')
  if (record === undefined) return doubt(turn, key)
  if (record.kind === 'tombstone') return refuse(exchange, settings, 'not-kept')
  const { vary } = record.response
  const digestOf = (varied: string): string => digestHeader(exchange.req.headers, varied, settings.secret)
  const differing = vary.filter(([varied, digest]) => digestOf(varied) !== digest)
  const isIdempotent = turn.idempotencyKey !== undefined
  // A client that names its operation gets that operation's answer even if headers differ, or the operation would be carried out again.
  if (
    differing.length === 0 ||
    (isIdempotent && !(isShared(turn) && differing.some(([varied]) => credentials.has(varied))))
  ) {
    const { ageMs, joined } = entry
    const facts = { record: entry.record, ageMs, joined, traceparent: record.response.traceparent }
    const reply = composeReplay(exchange.req, record.response, { ageMs, joined, isIdempotent })
    return followReplay(exchange, facts, () => answer(exchange, reply))
  }
  if (isIdempotent) return refuse(exchange, settings, 'not-kept')
  warn('DSPINLOCK_W_VARY')
  turn.doubted = undefined
  turn.variant = [...turn.variant, ...vary.map(([varied]) => [varied, digestOf(varied)] as const)]
  return takeTurn(turn)
}

/**
 * Drops a malformed record in two rounds (docs/decisions/091): the first learns its fence, the second forgets only what has that fence.
 * Another request may have dropped the record meanwhile, and be at work under the key.
 */
async function doubt<Req, Res>(turn: Turn<Req, Res>, key: string): Promise<void> {
  const { engine } = turn.tools
  if (turn.doubted === undefined) publishTrouble('http', 'decode', new MalformedRecordError(), key)
  else await engine.forget(key, turn.doubted).catch(forgive)
  turn.doubted = (await engine.inspect(key).catch(forgive))?.fence
  return inTick(() => takeTurn(turn))
}

/** A store that failed here will fail again when the key is claimed, where the failure is dealt with. */
const forgive = (): undefined => {}

/** Whether several people may have the same key. A client that knows an Idempotency-Key is taken for the one that made it up. */
function isShared({ identity, idempotencyKey }: NameParts): boolean {
  if (identity.kind === 'public') return true
  if (idempotencyKey !== undefined) return false
  return identity.kind === 'custom' ? !identity.id : identity.credentials.every(isOfMany)
}

function goWithout<Req, Res>(turn: Turn<Req, Res>, key: string, role: 'pass' | 'bypassed'): void {
  const { exchange } = turn
  noteOutcome(exchange, role === 'pass' ? 'passed' : role)
  exchange.expose({ role, key, fence: undefined, signal: undefined })
  handOn(turn)
}

function act<Req, Res>(
  turn: Turn<Req, Res>,
  key: string,
  entry: Exclude<Entry, { role: 'follower' }>,
): MaybePromise<void> {
  const { exchange, tools, state, leave } = turn
  const { settings, engine, covered } = tools
  const { req, res } = exchange
  if (entry.role === 'refused') return refuse(exchange, settings, entry.reason)
  if (entry.role === 'pass') return goWithout(turn, key, 'pass')
  const { hold } = entry
  // No record is there that the HEAD could be answered from, and only a GET makes one.
  if (req.method === 'HEAD') {
    void hold[Symbol.asyncDispose]()
    return handOn(turn)
  }
  // No work is begun for a client that left, or was answered by other code, at the very moment of its turn.
  if (isOver(exchange)) return void hold[Symbol.asyncDispose]()
  // In a stall since the claim, another request may have got the key.
  if (isLost(hold)) return takeTurn(turn)
  // From now on the request counts until its hold ends, even if its client leaves before.
  if (leave !== undefined) offClose(res, leave)
  if (settings.policy.duplicates === 'replay' && isSafeMethod(req.method)) removeConditions(exchange)
  const settlement = new HoldSettlement({
    req,
    res,
    hold: leave === undefined ? hold : whileHeld(hold, leave),
    settings,
    covered,
    isShared: isShared(turn),
    isSynchronous: engine.store.synchronous,
  })
  try {
    state.ending = exchange.watch?.(settlement) ?? watchResponse(req, res, settlement)
  } catch (error) {
    // Nobody would see the response end, so nothing else would end the hold.
    void settlement.release()
    throw error
  }
  noteOutcome(exchange, 'run')
  exchange.expose(new HolderLock(hold))
  handOn(turn)
}

/** The body flows from here on rather than after the handler was called, which may pause it, or have another of our middlewares in front. */
export function handOn<Req, Res>(turn: Pick<Turn<Req, Res>, 'exchange' | 'state' | 'isPaused'>): void {
  const { exchange } = turn
  leaveState(exchange.req, turn.state)
  letFlow(turn)
  exchange.proceed()
}

/** Once for each turn: later, the body may be paused by others. */
export function letFlow<Req, Res>(turn: Pick<Turn<Req, Res>, 'exchange' | 'isPaused'>): void {
  if (turn.isPaused) turn.exchange.req.resume()
  turn.isPaused = false
}

function openRecord<Req, Res>(
  bytes: Uint8Array,
  { encryptionKeys }: GuardSettings<Req, Res>,
  key: string,
): HttpRecord | 'unknown-key' | undefined {
  // A server without keys opens no more than one without the right one, and what it cannot open it must not take for nothing.
  const opened = encryptionKeys ? encryptionKeys.open(bytes, key) : isSealed(bytes) ? 'unknown-key' : bytes
  if (opened !== 'unknown-key') return opened && decodeRecord(opened)
  publishTrouble('http', 'decrypt', new UnknownEncryptionKeyError(), key)
  return opened
}

function codeOf(error: unknown): ProblemCode | undefined {
  if (error instanceof WaitTimeoutError) return 'waited-too-long'
  if (error instanceof WaiterLimitError) return 'too-many-waiters'
  if (error instanceof ClosedError) return 'closing'
  return error instanceof StoreError ? 'unavailable' : undefined
}

class HolderLock implements RequestLock {
  readonly role = 'holder'
  readonly key: string
  readonly fence: number
  readonly #hold: RequestHold

  constructor(hold: RequestHold) {
    this.key = hold.key
    this.fence = hold.fence
    this.#hold = hold
  }

  /** A getter, because the signal is made only for handlers that look at it. */
  get signal(): AbortSignal {
    return this.#hold.signal
  }
}

/** A record has to be complete, so the holder's handler must not answer 304 to its own caller's conditions. */
function removeConditions<Req, Res>({ req }: Exchange<Req, Res>): void {
  delete req.headers['if-none-match']
  delete req.headers['if-modified-since']
}

export function refuse<Req, Res>(
  exchange: Exchange<Req, Res>,
  { onRefused, idempotencyKey }: GuardSettings<Req, Res>,
  code: ProblemCode,
): MaybePromise<void> {
  noteOutcome(exchange, 'refused', code)
  // Other code, for example a time limit, may have answered the request while it waited or its body arrived.
  if (exchange.res.writableEnded) return
  // Only a promise is looked at, so that its error is not lost.
  if (onRefused !== undefined)
    return onRefused(problems[code], exchange.request, exchange.response) as MaybePromise<void>
  answer(exchange, composeProblem(exchange.req, problems[code], idempotencyKey?.docsUrl))
}

function answer<Req, Res>(exchange: Exchange<Req, Res>, reply: Reply): void {
  if (exchange.answer === undefined) sendReply(exchange.res, reply)
  else exchange.answer(reply)
}
