// One request's passage, top to bottom: skip, read the body, fingerprint, enter, then run, replay or refuse.

import {
  ClosedError,
  type Entry,
  type LockEngine,
  publishTrouble,
  StoreError,
  WaiterLimitError,
  WaitTimeoutError,
} from '@dspinlock/core'
import { warnOnce } from '@dspinlock/core/support'
import { readBody } from './body.js'
import type { Exchange, RequestLock } from './exchange.js'
import { type BodyInput, fingerprint, type Identity } from './fingerprint.js'
import { MalformedRecordError, type ProblemCode, problems, UnhashableBodyError, warnings } from './messages.js'
import type { GuardSettings } from './options.js'
import { sendProblem } from './problem.js'
import { decodeRecord } from './record.js'
import { replay } from './replay.js'
import { digestHeader, isSafeMethod } from './replayable.js'
import { type RequestState, stateOf } from './request-state.js'
import { settleWith } from './settlement.js'

export interface PassageTools<Req, Res> {
  readonly settings: GuardSettings<Req, Res>
  readonly engine: LockEngine
  /** Request headers, in lower case, that the key covers. */
  readonly covered: ReadonlySet<string>
  /** The engine that `onStoreError: 'local'` falls back to. */
  readonly localEngine: () => LockEngine
}

/** Responses that differ in what they vary by, one after another, before a request gives up looking for its own. */
const MAX_VARIANTS = 3

export async function passThrough<Req, Res>(
  exchange: Exchange<Req, Res>,
  tools: PassageTools<Req, Res>,
): Promise<void> {
  const { req, res, request, response } = exchange
  const { settings } = tools

  const state = stateOf(req)
  if (state.seenBy.has(settings)) {
    warnOnce('DSPINLOCK_W_MOUNTED_TWICE', warnings.DSPINLOCK_W_MOUNTED_TWICE)
    return exchange.proceed()
  }
  state.seenBy.add(settings)
  if (settings.skip !== undefined && (await settings.skip(request, response))) return exchange.proceed()

  const customKey = settings.key === undefined ? undefined : await settings.key(request)
  if (settings.key !== undefined && customKey === undefined) return exchange.proceed()
  const identity = await identify(exchange, settings)
  const body = customKey === undefined ? await takeBody(exchange, state, settings) : ({ kind: 'none' } as const)
  if (body === 'gone') return
  if (body === 'too-large') return refuse(exchange, settings, 'too-large', undefined)
  if (body === 'unlockable') return exchange.proceed()

  // The mount nearest to the handler decides: what one further out holds ends here.
  state.ending?.release()
  state.ending = undefined

  let variant: [string, string][] = isSafeMethod(req.method) ? [] : listPreconditions(exchange)
  for (let round = 0; round < MAX_VARIANTS; round++) {
    const key = makeKey(exchange, settings, body, identity, customKey, variant)
    if (key === undefined) return exchange.proceed()
    const entry = await enter(exchange, tools, key)
    if (entry === undefined) return
    if (entry.role !== 'follower') return act(exchange, tools, state, key, entry)
    const record = decodeRecord(entry.record)
    if (record === undefined) {
      publishTrouble('http', 'decode', new MalformedRecordError(), key)
      await tools.engine.store.forget(key)
      continue
    }
    if (record.kind === 'tombstone') return refuse(exchange, settings, 'not-kept', undefined)
    const { vary } = record.response
    if (vary.every(([name, digest]) => digestHeader(req.headers, name) === digest)) {
      exchange.takeOver?.()
      return replay(req, res, record.response, entry)
    }
    warnOnce('DSPINLOCK_W_VARY', warnings.DSPINLOCK_W_VARY)
    variant = [...variant, ...vary.map(([name]): [string, string] => [name, digestHeader(req.headers, name)])]
  }
  refuse(exchange, settings, 'unavailable', 1_000)
}

async function identify<Req, Res>(exchange: Exchange<Req, Res>, settings: GuardSettings<Req, Res>): Promise<Identity> {
  if (settings.identity === 'public') return { kind: 'public' }
  if (settings.identity !== undefined) return { kind: 'custom', id: await settings.identity(exchange.request) }
  const { authorization, cookie } = exchange.req.headers
  return { kind: 'headers', authorization, cookie }
}

async function takeBody<Req, Res>(
  exchange: Exchange<Req, Res>,
  state: RequestState,
  settings: GuardSettings<Req, Res>,
): Promise<BodyInput | 'gone' | 'too-large' | 'unlockable'> {
  if (exchange.isParsed && state.body?.kind !== 'complete') return { kind: 'parsed', value: exchange.parsedBody }
  const read = state.body ?? (await readBody(exchange.req, exchange.res, settings.maxBodyBytes))
  state.body = read
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

/** A write under another precondition is another request. Reads are compared with the record instead. */
function listPreconditions<Req, Res>({ req }: Exchange<Req, Res>): [string, string][] {
  return ['if-match', 'if-none-match', 'if-unmodified-since', 'if-modified-since']
    .filter(name => req.headers[name] !== undefined)
    .map(name => [name, digestHeader(req.headers, name)])
}

function makeKey<Req, Res>(
  { req, url }: Exchange<Req, Res>,
  settings: GuardSettings<Req, Res>,
  body: BodyInput,
  identity: Identity,
  customKey: string | undefined,
  variant: readonly (readonly [string, string])[],
): string | undefined {
  const { headers } = req
  const authority = headers[':authority']
  try {
    return fingerprint(
      {
        duplicates: settings.policy.duplicates,
        method: req.method ?? '',
        host: headers.host ?? (typeof authority === 'string' ? authority : ''),
        url,
        contentType: headers['content-type'],
        contentEncoding: headers['content-encoding'],
        body,
        identity,
        customKey,
        variant,
      },
      settings.secret,
    )
  } catch (error) {
    if (!(error instanceof UnhashableBodyError)) throw error
    publishTrouble('http', 'fingerprint', error)
    warnOnce('DSPINLOCK_W_BODY_UNHASHABLE', warnings.DSPINLOCK_W_BODY_UNHASHABLE)
    return undefined
  }
}

/** Undefined: the request was answered, handed on, or its client is gone. */
async function enter<Req, Res>(
  exchange: Exchange<Req, Res>,
  tools: PassageTools<Req, Res>,
  key: string,
): Promise<Entry | undefined> {
  const { settings } = tools
  const gone = new AbortController()
  const leave = (): void => gone.abort()
  exchange.res.once('close', leave)
  try {
    return await enterOrFallBack(exchange, tools, key, gone.signal)
  } catch (error) {
    if (gone.signal.aborted) return undefined
    if (error instanceof WaitTimeoutError) refuse(exchange, settings, 'waited-too-long', 1_000)
    else if (error instanceof WaiterLimitError) refuse(exchange, settings, 'too-many-waiters', 1_000)
    else if (error instanceof ClosedError) refuse(exchange, settings, 'closing', 1_000)
    else if (error instanceof StoreError) refuse(exchange, settings, 'unavailable', 1_000)
    else throw error
    return undefined
  } finally {
    exchange.res.removeListener('close', leave)
  }
}

async function enterOrFallBack<Req, Res>(
  exchange: Exchange<Req, Res>,
  { settings, engine, localEngine }: PassageTools<Req, Res>,
  key: string,
  signal: AbortSignal,
): Promise<Entry | undefined> {
  try {
    return await engine.enter(key, settings.policy, { signal })
  } catch (error) {
    if (!(error instanceof StoreError) || settings.onStoreError === 'reject') throw error
    publishTrouble('http', settings.onStoreError, error, key)
    if (settings.onStoreError === 'local') return localEngine().enter(key, settings.policy, { signal })
    exchange.expose({ role: 'bypassed', key, fence: undefined, signal: undefined })
    exchange.proceed()
    return undefined
  }
}

function act<Req, Res>(
  exchange: Exchange<Req, Res>,
  { settings, engine, covered }: PassageTools<Req, Res>,
  state: RequestState,
  key: string,
  entry: Exclude<Entry, { role: 'follower' }>,
): void {
  const { req, res } = exchange
  if (entry.role === 'refused') {
    return refuse(exchange, settings, entry.reason, entry.reason === 'in-flight' ? 1_000 : undefined)
  }
  if (entry.role === 'pass') {
    exchange.expose({ role: 'pass', key, fence: undefined, signal: undefined })
    return exchange.proceed()
  }
  const { hold } = entry
  // Nothing is begun for a client that left, or was answered by somebody else, at the very moment of its turn.
  if (res.destroyed || res.writableEnded) return void Promise.resolve(hold.release()).catch(() => false)
  if (settings.policy.duplicates === 'replay' && isSafeMethod(req.method)) removeConditions(exchange)
  const isSynchronous = engine.store.synchronous
  state.ending = settleWith({ req, res, hold, settings, covered, isSynchronous })
  exchange.expose(lockOf(hold))
  exchange.proceed()
}

function lockOf(hold: { readonly key: string; readonly fence: number; readonly signal: AbortSignal }): RequestLock {
  return {
    role: 'holder',
    key: hold.key,
    fence: hold.fence,
    // Made only for handlers that look at it.
    get signal() {
      return hold.signal
    },
  }
}

/** A record has to be complete, so its maker must not answer 304 to its own caller's conditions. */
function removeConditions<Req, Res>({ req }: Exchange<Req, Res>): void {
  delete req.headers['if-none-match']
  delete req.headers['if-modified-since']
}

function refuse<Req, Res>(
  exchange: Exchange<Req, Res>,
  { onRefused }: GuardSettings<Req, Res>,
  code: ProblemCode,
  retryAfterMs: number | undefined,
): void {
  if (onRefused !== undefined) return onRefused(problems[code], exchange.request, exchange.response)
  exchange.takeOver?.()
  sendProblem(exchange.res, problems[code], retryAfterMs)
}
