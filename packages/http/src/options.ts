// The options of the middleware, read once into frozen settings.

import { IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import {
  LockEngine,
  type MaybePromise,
  Policy,
  type PolicyOptions,
  policyOptionNames,
  type Store,
} from '@dspinlock/core'
import {
  boolean,
  integer,
  oneOf,
  oneOrNone,
  optional,
  optionError,
  type Parsed,
  parseOptions,
  secretOptionError,
  timerMs,
} from '@dspinlock/core/support'
import { type IdempotencyKeyOptions, type IdempotencyKeyRules, readIdempotencyKeyRules } from './idempotency-key.js'
import { calledWithRequest, type Problem } from './messages.js'
import { type RecordSealer, readEncryptionKeys } from './sealed-record.js'

/** Who is asking: see the option `identity`. */
export type IdentityOption<Req> = 'public' | ((req: Req) => MaybePromise<string | undefined>)

export interface GuardOptions<Req = IncomingMessage, Res = ServerResponse> extends PolicyOptions {
  /** Where claims and records live. Default: a memory store of this middleware's own. Not together with `engine`. */
  readonly store?: Store
  /** An engine of your own, shared with other code. Not together with `store`. */
  readonly engine?: LockEngine
  /** Methods to guard. Default: on a route, all that reach it; app-wide, POST, PUT, PATCH and DELETE. HEAD, OPTIONS, TRACE and CONNECT never are. */
  readonly methods?: readonly string[]
  /**
   * Who is asking; nobody gets another identity's response. Default: the Authorization and Cookie headers, others that usually carry
   * credentials (docs/security.md lists them), and the TLS client's certificate. A function stands in place of all these where it returns the
   * user's id, a string; where it returns undefined, they count. `'public'`: the answer is the same for everybody. An answer to nobody in particular, or to everybody, is
   * not shared if it sets a cookie, says `Cache-Control: no-store` or `private`, or is a 4xx other than 404 and 410. What middleware in front
   * sets counts for nobody in particular, but not under `'public'`.
   */
  readonly identity?: IdentityOption<Req>
  /**
   * Returns a key of your own, a string, in place of path, query and body, so two routes with the same key are the same work. Method, Host and
   * identity still count, and under `'replay'` so do the other headers that say what is asked for, such as X-Forwarded-Host. If it returns
   * undefined, the request is not guarded.
   */
  readonly key?: (req: Req) => MaybePromise<string | undefined>
  /**
   * The client's Idempotency-Key names the operation, instead of query and body, and another payload under the same key is
   * refused with 422. A request without one is not guarded with `'optional'`; with `'required'` it gets 400 unless its method is safe.
   * Changes three defaults: `duplicates: 'replay'`, `ttlMs: 86_400_000` (24 h) and `oversize: 'reject'`. Not together with `key`.
   */
  readonly idempotencyKey?: 'optional' | 'required' | IdempotencyKeyOptions
  /** Returns true for requests that are not to be guarded. */
  readonly skip?: (req: Req, res: Res) => MaybePromise<boolean>
  /** Makes keys by HMAC, so that somebody who can read the store cannot guess what was asked for. At least 16 characters. */
  readonly secret?: string
  /**
   * Encrypts what the store keeps of responses (AES-256-GCM). Keys of 32 bytes, as bytes or base64: the first one encrypts, and
   * all of them decrypt, so that a new one can be put in front.
   */
  readonly encryptionKeys?: readonly (Uint8Array | string)[]
  /** The largest body that is read to be compared, in bytes. Default 1 048 576. */
  readonly maxBodyBytes?: number
  /**
   * For larger bodies: `'pass'` (default, unless `idempotencyKey` is given) lets them through unguarded, `'reject'` answers 413. With `key`,
   * bodies are not compared, and requests with a body of any size are guarded.
   */
  readonly oversize?: 'pass' | 'reject'
  /** The largest response that is kept for duplicates, in bytes. Default 1 048 576. */
  readonly maxRecordBytes?: number
  /**
   * `'before-end'` (default): the last bytes of a response leave once the store has its record, so that a retry finds it.
   * `'after-end'`: they leave at once.
   */
  readonly settle?: 'before-end' | 'after-end'
  /** The longest that the last bytes wait for the store, and that a response whose client has left may stand still until its hold ends, in milliseconds. Default 1 000. */
  readonly settleTimeoutMs?: number
  /** For answers of 499, 500 and above: `'retry'` (default) leaves no record, and the next one runs; `'keep'` treats them as any other. */
  readonly serverErrors?: 'retry' | 'keep'
  /** Answers HEAD from the record of the same GET, if there is one. Default false: HEAD is not guarded. Only with `'replay'`. */
  readonly headFromGet?: boolean
  /** When the store fails: `'reject'` (default) answers 503, `'bypass'` runs unguarded, `'local'` locks in this process only. */
  readonly onStoreError?: 'reject' | 'bypass' | 'local'
  /** After a success that cannot be replayed, duplicates run (`'run'`) or are refused (`'refuse'`). Default: safe methods run, others are refused. */
  readonly onUnreplayable?: 'run' | 'refuse'
  /** For how long duplicates run without waiting after a response that cannot be replayed, in milliseconds. Default 2 000. */
  readonly passMs?: number
  /**
   * Answers refused requests in place of the library, all of the response: there is no Retry-After yet. It must end the response, may return
   * a promise, and an error that it throws goes to the framework. What it returns otherwise is not looked at.
   */
  readonly onRefused?: (problem: Problem, req: Req, res: Res) => unknown
  /**
   * How many guarded requests of one identity may be under way in this process; any more get 429. Each middleware counts its own, and on Nest each
   * decorator. Default: no such limit.
   */
  readonly maxRequestsPerIdentity?: number
  /** How many requests may wait in this process. Default 10 000. Gives this middleware an engine of its own. */
  readonly maxWaiters?: number
  /** How many requests may wait for one key in this process. Default 1 000. Gives this middleware an engine of its own. */
  readonly maxWaitersPerKey?: number
}

const isFunction = (given: unknown): given is (...args: never[]) => unknown => typeof given === 'function'

const limit = integer(undefined, 1)
const callback = optional('a function', isFunction)

const shape = {
  engine: optional('a LockEngine', (given: unknown): given is LockEngine => given instanceof LockEngine),
  store: optional(
    'a store, for example redisStore(…)',
    (given: unknown): given is Store => typeof given === 'object' && given !== null,
  ),
  methods: readMethods,
  identity: optional("'public' or a function of the request", (given: unknown): given is IdentityOption<never> => {
    return given === 'public' || isFunction(given)
  }),
  key: callback,
  idempotencyKey: readIdempotencyKeyRules,
  skip: callback,
  secret: readSecret,
  encryptionKeys: readEncryptionKeys,
  maxBodyBytes: integer(1_048_576, 0),
  oversize: oneOf('pass', 'reject'),
  maxRecordBytes: integer(1_048_576, 0),
  settle: oneOf('before-end', 'after-end'),
  settleTimeoutMs: timerMs(1_000),
  onStoreError: oneOf('reject', 'bypass', 'local'),
  onUnreplayable: oneOrNone('run', 'refuse'),
  serverErrors: oneOf('retry', 'keep'),
  headFromGet: boolean(false),
  passMs: timerMs(2_000),
  onRefused: callback,
  maxRequestsPerIdentity: limit,
  maxWaiters: limit,
  maxWaitersPerKey: limit,
} as const

/** The default of `maxHoldMs` for requests, shorter than the engine's own because handlers take less time than jobs. */
const MAX_HOLD_MS = 300_000

/** With an Idempotency-Key, a body too large to compare is refused by default, because letting it through would run a retry again. */
const IDEMPOTENCY_DEFAULTS: { readonly policy?: PolicyOptions; readonly oversize?: 'pass' | 'reject' } = {
  policy: { duplicates: 'replay', ttlMs: 86_400_000 },
  oversize: 'reject',
}

/** The options after reading: every default is filled in, and nothing is left to check. */
export interface GuardSettings<Req, Res> {
  readonly policy: Policy
  readonly engine: LockEngine | undefined
  readonly store: Store | undefined
  readonly methods: ReadonlySet<string> | undefined
  readonly identity: IdentityOption<Req> | undefined
  readonly key: ((req: Req) => MaybePromise<string | undefined>) | undefined
  readonly idempotencyKey: IdempotencyKeyRules | undefined
  readonly skip: ((req: Req, res: Res) => MaybePromise<boolean>) | undefined
  readonly secret: string | undefined
  readonly encryptionKeys: RecordSealer | undefined
  readonly maxBodyBytes: number
  readonly oversize: 'pass' | 'reject'
  readonly maxRecordBytes: number
  readonly settle: 'before-end' | 'after-end'
  readonly settleTimeoutMs: number
  readonly onStoreError: 'reject' | 'bypass' | 'local'
  readonly onUnreplayable: 'run' | 'refuse' | undefined
  readonly serverErrors: 'retry' | 'keep'
  readonly headFromGet: boolean
  readonly passMs: number
  readonly onRefused: ((problem: Problem, req: Req, res: Res) => unknown) | undefined
  readonly maxRequestsPerIdentity: number | undefined
  readonly maxWaiters: number | undefined
  readonly maxWaitersPerKey: number | undefined
}

/** @throws TypeError naming option and value for anything unknown or wrong. */
export function readGuardOptions<Req, Res>(options: GuardOptions<Req, Res> | undefined): GuardSettings<Req, Res> {
  if (isRequest(options)) throw calledWithRequest()
  const passThrough = Object.fromEntries(policyOptionNames.map(name => [name, (given: unknown) => given]))
  const parsed = parseOptions('dspinlock', options, { ...shape, ...passThrough }) as unknown as Parsed<typeof shape>
  const defaults: typeof IDEMPOTENCY_DEFAULTS = parsed.idempotencyKey === undefined ? {} : IDEMPOTENCY_DEFAULTS
  const policyOptions: Record<string, unknown> = { maxHoldMs: MAX_HOLD_MS, ...defaults.policy }
  for (const name of policyOptionNames) {
    const given = options?.[name]
    if (given !== undefined) policyOptions[name] = given
  }
  // Before the policy is made, because it would complain about a ttlMs that the user did not give.
  checkCombination(parsed, policyOptions['duplicates'])
  const policy = new Policy(policyOptions as PolicyOptions)
  const oversize = options?.oversize ?? defaults.oversize ?? parsed.oversize
  return Object.freeze({ ...parsed, oversize, policy }) as unknown as GuardSettings<Req, Res>
}

/** The names of all options. */
export function listOptionNames(): string[] {
  return [...Object.keys(shape), ...policyOptionNames]
}

/** If a user writes `app.use(dspinlock)`, it is called with the first request, or with Koa's context. */
function isRequest(given: unknown): boolean {
  return ((given as { readonly req?: unknown } | undefined)?.req ?? given) instanceof IncomingMessage
}

/** Rejects options that would be ignored, or contradict each other. */
function checkCombination(parsed: Parsed<typeof shape>, duplicates: unknown): void {
  if (parsed.engine !== undefined && (parsed.store ?? parsed.maxWaiters ?? parsed.maxWaitersPerKey) !== undefined) {
    throw optionError('engine', parsed.engine, 'left out with store, maxWaiters or maxWaitersPerKey')
  }
  if (parsed.idempotencyKey !== undefined && duplicates !== 'replay') {
    throw optionError('duplicates', duplicates, "'replay' with idempotencyKey")
  }
  if (parsed.idempotencyKey !== undefined && parsed.key !== undefined) {
    throw optionError('key', parsed.key, 'left out with idempotencyKey')
  }
  if (parsed.headFromGet && (duplicates !== 'replay' || parsed.methods?.has('GET') === false)) {
    throw optionError('headFromGet', true, "left out unless duplicates is 'replay' and GET is guarded")
  }
}

function readMethods(given: unknown, name: string): ReadonlySet<string> | undefined {
  if (given === undefined) return undefined
  // The HTTP/1 parser of Node refuses any other method, so a misspelt one would guard nothing.
  const isMethods = Array.isArray(given) && given.length && given.every(method => METHODS.includes(method))
  if (isMethods) return new Set(given)
  throw optionError(name, given, 'a list from http.METHODS')
}

function readSecret(given: unknown, name: string): string | undefined {
  if (given === undefined) return undefined
  if (typeof given === 'string' && given.length >= 16) return given
  throw secretOptionError(name, 'a string of at least 16 characters')
}
