// Every message that a user of this package can see.

import { warnOnce } from '@dspinlock/core/support'

/** One refusal as RFC 9457 describes it, with a `code` that programs can rely on. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: string
}

export type ProblemCode =
  | 'in-flight'
  | 'settled'
  | 'not-kept'
  | 'mismatch'
  | 'key-missing'
  | 'key-invalid'
  | 'too-large'
  | 'too-many-of-identity'
  | 'waited-too-long'
  | 'too-many-waiters'
  | 'unavailable'
  | 'closing'

const said: Readonly<Record<ProblemCode, readonly [status: number, title: string, detail: string]>> = {
  'in-flight': [409, 'Duplicate in flight', 'The same request is being worked on. Try again later.'],
  settled: [409, 'Duplicate', 'The same request was completed already.'],
  'not-kept': [409, 'Response not kept', 'The same request was completed already.'],
  mismatch: [422, 'Key used with another payload', 'Use a new key.'],
  'key-missing': [
    400,
    'Idempotency-Key is missing',
    'Send an Idempotency-Key header: a new one for each operation, the same for its retries.',
  ],
  'key-invalid': [400, 'Idempotency-Key is invalid', 'It is not one valid key.'],
  'too-large': [413, 'Body too large', 'It cannot be compared.'],
  'too-many-of-identity': [429, 'Too many requests', 'Try again later.'],
  'waited-too-long': [503, 'Waited too long', 'The same request is being worked on. Try again later.'],
  'too-many-waiters': [503, 'Too many duplicates', 'Try again later.'],
  unavailable: [503, 'Unavailable', 'Try again later.'],
  closing: [503, 'Shutting down', 'Try again later.'],
}

export const problems: Readonly<Record<ProblemCode, Problem>> = Object.freeze(
  Object.fromEntries(
    Object.entries(said).map(([code, [status, title, detail]]) => {
      return [code, Object.freeze({ type: `urn:dspinlock:problem:${code}`, title, status, detail, code })]
    }),
  ) as Record<ProblemCode, Problem>,
)

export type WarningCode =
  | 'DSPINLOCK_W_MOUNTED_TWICE'
  | 'DSPINLOCK_W_BODY_UNREADABLE'
  | 'DSPINLOCK_W_BODY_UNHASHABLE'
  | 'DSPINLOCK_W_BODY_TOO_LARGE'
  | 'DSPINLOCK_W_VARY'
  | 'DSPINLOCK_W_MEMORY_CLUSTER'
  | 'DSPINLOCK_W_MADE_OFTEN'

const warnings: Readonly<Record<WarningCode, string>> = {
  DSPINLOCK_W_MEMORY_CLUSTER: 'a memory store misses duplicates in other workers. Use redisStore()',
  DSPINLOCK_W_MADE_OFTEN: 'dspinlock() is called for each request. Call it once',
  DSPINLOCK_W_MOUNTED_TWICE: 'a middleware saw a request twice. Mount it once',
  DSPINLOCK_W_BODY_UNREADABLE:
    'a body was read, not parsed, so the request ran unlocked, or by its Idempotency-Key alone. Mount dspinlock before that, or after a parser',
  DSPINLOCK_W_BODY_UNHASHABLE:
    'the parsed body cannot be compared, so the request ran unlocked, or by its Idempotency-Key alone. Mount dspinlock before that, or give a key',
  DSPINLOCK_W_BODY_TOO_LARGE:
    "a body was larger than maxBodyBytes, so the request ran unlocked, or by its Idempotency-Key alone. Raise it, or set oversize: 'reject'",
  DSPINLOCK_W_VARY: 'a response varies by headers outside its key; requests that differ in them run',
}

/** Warns once for each code in this process. */
export function warn(code: WarningCode): void {
  warnOnce(code, warnings[code])
}

/** Says where in a parsed body the trouble is, and never shows its contents. */
export class UnhashableBodyError extends TypeError {
  readonly what: string
  readonly path: string

  constructor(what: string, path: string = '') {
    super(`the parsed body holds ${what} at body${path}`)
    this.name = 'UnhashableBodyError'
    this.what = what
    this.path = path
  }
}

export class MalformedRecordError extends Error {
  constructor() {
    super('a record of another version was dropped')
    this.name = 'MalformedRecordError'
  }
}

/** A record cannot be decrypted with the keys that are given, so nobody knows whether running the work again would be right. */
export class UnknownEncryptionKeyError extends Error {
  constructor() {
    super("a record's key is not in encryptionKeys; give all servers all keys")
    this.name = 'UnknownEncryptionKeyError'
  }
}

export const calledWithRequest = (): TypeError =>
  new TypeError('dspinlock: dspinlock() makes the middleware; write app.use(dspinlock())')

/** Shows only the type of the value received, which may be a whole user. */
export const noTextError = (option: 'identity' | 'key', given: unknown): TypeError =>
  new TypeError(
    `dspinlock: option ${option} must return a string, for example id?.toString(), or undefined; received ${given === null ? given : typeof given}`,
  )

export const nothingThrown = (): Error => new Error('dspinlock: an option threw undefined; throw an Error')

export class SettleTimeoutError extends Error {
  constructor(settleTimeoutMs: number) {
    super(`the store took longer than settleTimeoutMs (${settleTimeoutMs})`)
    this.name = 'SettleTimeoutError'
  }
}
