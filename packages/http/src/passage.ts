// One request's passage, top to bottom: skip, read the body, fingerprint, enter, then run, replay or refuse.

import type { ServerResponse } from 'node:http'
import {
  type CallOptions,
  ClosedError,
  type Entry,
  type Hold,
  type LockEngine,
  type MaybePromise,
  type Policy,
  publishTrouble,
  StoreError,
  WaiterLimitError,
  WaitTimeoutError,
} from '@dspinlock/core'
import { Cancel, warnOnce } from '@dspinlock/core/support'
import { type BodyRead, readBody } from './body.js'
import { isCredential, listCredentials } from './conventional-headers.js'
import type { Exchange, RequestLock } from './exchange.js'
import type { BodyInput, Identity } from './fingerprint.js'
import { readIdempotencyKey } from './idempotency-key.js'
import { type IdentityLimit, whileHeld } from './identity-limit.js'
import {
  MalformedRecordError,
  noTextError,
  type ProblemCode,
  problems,
  UnknownEncryptionKeyError,
  warnings,
} from './messages.js'
import type { GuardSettings } from './options.js'
import { composeProblem } from './problem.js'
import { peek } from './property.js'
import { decodeRecord, type HttpRecord } from './record.js'
import { composeReplay } from './replay.js'
import { digestHeader, isSafeMethod } from './replayable.js'
import { type Reply, sendReply } from './reply.js'
import { nameRequest, type RequestName } from './request-name.js'
import { leaveState, type RequestState, readState } from './request-state.js'
import { openSettlement } from './settlement.js'
import { isPromise, type Steps, wait } from './steps.js'
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

/** Responses that differ in what they vary by, or malformed records, one after another, before a request gives up looking for its own. */
const MAX_ROUNDS = 5

export function* passThrough<Req, Res>(exchange: Exchange<Req, Res>, tools: PassageTools<Req, Res>): Steps<void> {
  const { req, request, response } = exchange
  const { settings } = tools

  const state = readState(req) ?? { seenBy: [], body: undefined, ending: undefined }
  if (state.seenBy.includes(settings)) {
    warnOnce('DSPINLOCK_W_MOUNTED_TWICE', warnings.DSPINLOCK_W_MOUNTED_TWICE)
    return handOn(exchange, state)
  }
  state.seenBy.push(settings)
  if (settings.skip !== undefined && (yield* wait(settings.skip(request, response)))) return handOn(exchange, state)

  const idempotencyKey = takeIdempotencyKey(exchange, settings)
  if (idempotencyKey === 'unguarded') return handOn(exchange, state)
  if (idempotencyKey === 'key-invalid' || idempotencyKey === 'key-missing') {
    return yield* wait(refuse(exchange, settings, idempotencyKey))
  }
  const customKey = settings.key === undefined ? undefined : assertText('key', yield* wait(settings.key(request)))
  if (settings.key !== undefined && customKey === undefined) return handOn(exchange, state)
  const identified = identify(exchange, settings)
  const identity = isPromise(identified) ? yield* wait(identified) : identified
  const read = customKey === undefined ? findBody(exchange, state, settings) : noBody
  const body = takeBody(isPromise(read) ? yield* wait(read) : read, state, settings)
  if (body === 'gone') return
  if (body === 'too-large') return yield* wait(refuse(exchange, settings, 'too-large'))
  if (body === 'unlockable' && idempotencyKey === undefined) return handOn(exchange, state)

  const leave = tools.identityLimit?.enter(identity)
  if (leave !== undefined) exchange.res.once('close', leave)
  else if (tools.identityLimit !== undefined)
    return yield* wait(refuse(exchange, settings, 'too-many-of-identity', 1_000))

  // The mount nearest to the handler decides: what one further out holds ends here.
  state.ending?.release()
  state.ending = undefined

  const isIdempotent = idempotencyKey !== undefined
  const isShared = isSharedBy(identity, isIdempotent)
  let variant: readonly (readonly [string, string])[] = []
  /** The last fence of the key when a malformed record was seen under it. */
  let doubted: number | undefined
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const parts = { body, identity, customKey, idempotencyKey: idempotencyKey?.value, variant }
    const name = nameRequest(exchange, settings, parts)
    if (name === undefined) return handOn(exchange, state)
    const entry = yield* enter(exchange, tools, state, name)
    if (entry === undefined) return
    if (entry.role !== 'follower') {
      const acted = act(exchange, tools, state, name.key, entry, { leave, isShared })
      return acted === undefined ? acted : yield* wait(acted)
    }
    const record = openRecord(entry.record, settings, name.key)
    if (record === 'unknown-key') return yield* wait(refuse(exchange, settings, 'unavailable'))
    if (record === undefined) {
      if (doubted === undefined) publishTrouble('http', 'decode', new MalformedRecordError(), name.key)
      // Somebody else may have dropped it meanwhile and be at work. It was dropped if it is still there now that its fence is known.
      if (doubted !== undefined) yield* wait(tools.engine.forget(name.key, doubted))
      doubted = (yield* wait(tools.engine.inspect(name.key)))?.fence
      continue
    }
    if (record.kind === 'tombstone') return yield* wait(refuse(exchange, settings, 'not-kept'))
    const { vary } = record.response
    const digestOf = (varied: string): string => digestHeader(req.headers, varied, settings.secret)
    const differing = vary.filter(([varied, digest]) => digestOf(varied) !== digest)
    // A client that names its operation gets that operation's answer, or it would be carried out again.
    if (differing.length === 0 || (isIdempotent && !(isShared && differing.some(([varied]) => isCredential(varied))))) {
      const { ageMs, joined } = entry
      const facts = { record: entry.record, ageMs, joined, traceparent: record.response.traceparent }
      const reply = composeReplay(req, record.response, { ageMs, joined, isIdempotent })
      return followReplay(exchange, facts, () => answer(exchange, reply))
    }
    if (isIdempotent) return yield* wait(refuse(exchange, settings, 'not-kept'))
    warnOnce('DSPINLOCK_W_VARY', warnings.DSPINLOCK_W_VARY)
    doubted = undefined
    variant = [...variant, ...vary.map(([varied]): [string, string] => [varied, digestOf(varied)])]
  }
  return yield* wait(refuse(exchange, settings, 'unavailable', 1_000))
}

function handOn<Req, Res>(exchange: Exchange<Req, Res>, state: RequestState): void {
  leaveState(exchange.req, state)
  exchange.proceed()
}

/** Undefined where the option is off. */
function takeIdempotencyKey<Req, Res>(
  { req }: Exchange<Req, Res>,
  { idempotencyKey: rules }: GuardSettings<Req, Res>,
): { readonly value: string } | 'unguarded' | 'key-missing' | 'key-invalid' | undefined {
  if (rules === undefined) return undefined
  const read = readIdempotencyKey(req.headers, rules)
  if (read.kind === 'key') return read
  if (read.kind === 'invalid') return 'key-invalid'
  return rules.required && !isSafeMethod(req.method) ? 'key-missing' : 'unguarded'
}

function identify<Req, Res>(exchange: Exchange<Req, Res>, settings: GuardSettings<Req, Res>): MaybePromise<Identity> {
  if (settings.identity === 'public') return { kind: 'public' }
  if (settings.identity === undefined) return { kind: 'headers', credentials: listCredentials(exchange.req) }
  const name = (id: unknown): Identity => ({ kind: 'custom', id: assertText('identity', id) })
  const given = settings.identity(exchange.request)
  return isPromise(given) ? given.then(name) : name(given)
}

/** An object would be `[object Object]` for every user. */
function assertText(option: 'identity' | 'key', given: unknown): string | undefined {
  if (given === undefined || typeof given === 'string') return given
  throw noTextError(option, given)
}

/** Whether those who ask are not known to be one and the same. Who knows the key of an operation is taken for who began it. */
function isSharedBy(identity: Identity, isIdempotent: boolean): boolean {
  if (identity.kind === 'public') return true
  if (isIdempotent) return false
  return identity.kind === 'custom' ? identity.id === undefined : identity.credentials.length === 0
}

type FoundBody = BodyRead | Extract<BodyInput, { kind: 'parsed' }>

const noBody = { kind: 'none' } as const

function findBody<Req, Res>(
  exchange: Exchange<Req, Res>,
  { body }: RequestState,
  { maxBodyBytes }: GuardSettings<Req, Res>,
): MaybePromise<FoundBody> {
  if (body?.kind !== 'complete' && exchange.isParsed) return { kind: 'parsed', value: exchange.parsedBody }
  return body ?? readBody(exchange.req, exchange.res, maxBodyBytes)
}

function takeBody<Req, Res>(
  read: FoundBody,
  state: RequestState,
  settings: GuardSettings<Req, Res>,
): BodyInput | 'gone' | 'too-large' | 'unlockable' {
  if (read.kind === 'parsed') return read
  if (read !== noBody) state.body = read
  switch (read.kind) {
    case 'none':
      return read
    case 'complete':
      return { kind: 'raw', bytes: read.bytes }
    case 'gone':
      return 'gone'
    case 'too-large':
      if (settings.oversize === 'reject') return 'too-large'
      warnOnce('DSPINLOCK_W_BODY_TOO_LARGE', warnings.DSPINLOCK_W_BODY_TOO_LARGE)
      return 'unlockable'
    case 'unreadable':
      warnOnce('DSPINLOCK_W_BODY_UNREADABLE', warnings.DSPINLOCK_W_BODY_UNREADABLE)
      return 'unlockable'
  }
}

function openRecord<Req, Res>(
  bytes: Uint8Array,
  { encryptionKeys }: GuardSettings<Req, Res>,
  key: string,
): HttpRecord | 'unknown-key' | undefined {
  if (encryptionKeys === undefined) return decodeRecord(bytes)
  const opened = encryptionKeys.open(bytes, key)
  if (opened.kind === 'opened') return decodeRecord(opened.bytes)
  if (opened.kind === 'malformed') return undefined
  publishTrouble('http', 'decrypt', new UnknownEncryptionKeyError(), key)
  return opened.kind
}

/** Undefined: the request was answered, handed on, or its client is gone. */
function* enter<Req, Res>(
  exchange: Exchange<Req, Res>,
  { settings, engine, localEngine }: PassageTools<Req, Res>,
  state: RequestState,
  name: RequestName,
): Steps<Entry | undefined> {
  const { policy, onStoreError } = settings
  try {
    try {
      const asked = ask(engine, name, policy, exchange)
      return isPromise(asked) ? yield* wait(asked) : asked
    } catch (error) {
      if (!(error instanceof StoreError) || onStoreError === 'reject') throw error
      publishTrouble('http', onStoreError, error, name.key)
      noteOutcome(exchange, onStoreError === 'local' ? 'local' : 'bypassed')
      if (onStoreError === 'local') return yield* wait(ask(localEngine(), name, policy, exchange))
    }
  } catch (error) {
    const code = codeOf(error)
    if (code === undefined) throw error
    yield* wait(refuse(exchange, settings, code, 1_000))
    return undefined
  }
  exchange.expose({ role: 'bypassed', key: name.key, fence: undefined, signal: undefined })
  handOn(exchange, state)
  return undefined
}

function codeOf(error: unknown): ProblemCode | undefined {
  if (error instanceof WaitTimeoutError) return 'waited-too-long'
  if (error instanceof WaiterLimitError) return 'too-many-waiters'
  if (error instanceof ClosedError) return 'closing'
  return error instanceof StoreError ? 'unavailable' : undefined
}

/** Undefined: the client left while it waited. */
function ask<Req, Res>(
  engine: LockEngine,
  { key, payload }: RequestName,
  policy: Policy,
  exchange: Exchange<Req, Res>,
): MaybePromise<Entry | undefined> {
  const label = labelOf(exchange)
  const call = label === undefined ? { payload } : { payload, label }
  return engine.enterAtOnce(key, policy, call) ?? waitFor(engine, key, policy, call, exchange.res)
}

async function waitFor(
  engine: LockEngine,
  key: string,
  policy: Policy,
  call: CallOptions,
  res: ServerResponse,
): Promise<Entry | undefined> {
  const gone = new Cancel()
  const leave = (): void => gone.abort()
  res.once('close', leave)
  try {
    return await engine.enter(key, policy, { ...call, signal: gone })
  } catch (error) {
    if (gone.aborted) return undefined
    throw error
  } finally {
    res.removeListener('close', leave)
  }
}

function act<Req, Res>(
  exchange: Exchange<Req, Res>,
  { settings, engine, covered }: PassageTools<Req, Res>,
  state: RequestState,
  key: string,
  entry: Exclude<Entry, { role: 'follower' }>,
  { leave, isShared }: { readonly leave: (() => void) | undefined; readonly isShared: boolean },
): MaybePromise<void> {
  const { req, res } = exchange
  if (entry.role === 'refused') {
    return refuse(exchange, settings, entry.reason, entry.reason === 'in-flight' ? 1_000 : undefined)
  }
  if (entry.role === 'pass') {
    noteOutcome(exchange, 'passed')
    exchange.expose({ role: 'pass', key, fence: undefined, signal: undefined })
    return handOn(exchange, state)
  }
  let { hold } = entry
  // There is no record that a HEAD could be answered from; only a GET makes one.
  if (req.method === 'HEAD') {
    quietly(hold.release())
    return handOn(exchange, state)
  }
  // Nothing is begun for a client that left, or was answered by somebody else, at the very moment of its turn.
  if (peek(res, 'destroyed') || peek(res, 'writableEnded')) return quietly(hold.release())
  if (leave !== undefined) {
    res.removeListener('close', leave)
    hold = whileHeld(hold, leave)
  }
  if (settings.policy.duplicates === 'replay' && isSafeMethod(req.method)) removeConditions(exchange)
  const settlement = openSettlement({
    req,
    hold,
    settings,
    covered,
    isShared,
    isSynchronous: engine.store.synchronous,
  })
  state.ending = exchange.watch?.(settlement) ?? watchResponse(req, res, settlement)
  noteOutcome(exchange, 'run')
  exchange.expose(new HolderLock(hold))
  handOn(exchange, state)
}

class HolderLock implements RequestLock {
  readonly role = 'holder'
  readonly key: string
  readonly fence: number
  readonly #hold: Hold

  constructor(hold: Hold) {
    this.key = hold.key
    this.fence = hold.fence
    this.#hold = hold
  }

  /** Made only for handlers that look at it. */
  get signal(): AbortSignal {
    return this.#hold.signal
  }
}

/** A record has to be complete, so its maker must not answer 304 to its own caller's conditions. */
function removeConditions<Req, Res>({ req }: Exchange<Req, Res>): void {
  delete req.headers['if-none-match']
  delete req.headers['if-modified-since']
}

function refuse<Req, Res>(
  exchange: Exchange<Req, Res>,
  { onRefused, idempotencyKey }: GuardSettings<Req, Res>,
  code: ProblemCode,
  retryAfterMs?: number,
): MaybePromise<void> {
  noteOutcome(exchange, 'refused', code)
  if (onRefused !== undefined) return onRefused(problems[code], exchange.request, exchange.response)
  answer(exchange, composeProblem(problems[code], retryAfterMs, idempotencyKey?.docsUrl))
}

function answer<Req, Res>(exchange: Exchange<Req, Res>, reply: Reply): void {
  if (exchange.answer === undefined) sendReply(exchange.res, reply)
  else exchange.answer(reply)
}

/** The engine publishes what goes wrong; the lease then ends by itself. */
function quietly(ended: MaybePromise<boolean>): void {
  Promise.resolve(ended).catch(() => false)
}
