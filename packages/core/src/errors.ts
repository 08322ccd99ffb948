// Every error class of this package and every message that a user can see.

/** The base class of all errors that dspinlock throws at run time. Wrong options are TypeErrors instead. */
export class DspinlockError extends Error {
  /** Stable, for programs: `ERR_DSPINLOCK_…`. */
  readonly code: string
  /** The key that the error is about, if it is about one. */
  readonly key: string | undefined

  constructor(code: string, message: string, options: { key?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.key = options.key
  }
}

/** A key as messages show it: quoted, and not longer than a line. */
export const shortKey = (key: string): string => JSON.stringify(key.length > 80 ? `${key.slice(0, 77)}…` : key)

/** The wait ended without a turn or a record. */
export class WaitTimeoutError extends DspinlockError {
  constructor(key: string, waitMs: number) {
    super(
      'ERR_DSPINLOCK_WAIT_TIMEOUT',
      `waited ${waitMs} ms for the key ${shortKey(key)}, which is still held; raise waitMs, shorten the work, or try again later`,
      { key },
    )
  }
}

/** Too many callers wait already, so this one was refused. */
export class WaiterLimitError extends DspinlockError {
  constructor(key: string, option: 'maxWaiters' | 'maxWaitersPerKey', limit: number) {
    super(
      'ERR_DSPINLOCK_WAITER_LIMIT',
      `${limit} callers wait already and one more came for the key ${shortKey(key)}; let fewer wait, or raise ${option} of the engine (a lock has no such option)`,
      { key },
    )
  }
}

/** The engine or the store was closed. */
export class ClosedError extends DspinlockError {
  constructor(what: 'engine' | 'store', key?: string) {
    super(
      'ERR_DSPINLOCK_CLOSED',
      `the ${what} is closed${key === undefined ? '' : `, so the key ${shortKey(key)} cannot be entered`}; create a new one`,
      { key },
    )
  }
}

/** The store did not carry out an operation in time. `operation` and `key` say which; `cause` says why. */
export class StoreError extends DspinlockError {
  readonly operation: string

  constructor(store: string, operation: string, key: string | undefined, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      'ERR_DSPINLOCK_STORE',
      `the ${store} store failed in ${operation}${key === undefined ? '' : ` for the key ${shortKey(key)}`}: ${why}`,
      { key, cause },
    )
    this.operation = operation
  }
}

/** Wraps what a store threw in the StoreError that callers are promised. */
export function asStoreError(
  store: { readonly name: string },
  operation: string,
  key: string,
  error: unknown,
): StoreError {
  return error instanceof StoreError ? error : new StoreError(store.name, operation, key, error)
}

/** Like `asStoreError`, for a claim: a store that was closed has not failed, and nothing is to run for want of it. */
export function asClaimError(store: { readonly name: string }, key: string, error: unknown): StoreError | ClosedError {
  return error instanceof ClosedError ? new ClosedError('store', key) : asStoreError(store, 'claim', key, error)
}

/** The reason of a hold's signal when the lease was taken away or ran out. */
export class LeaseLostError extends DspinlockError {
  constructor(key: string, why: 'taken' | 'expired') {
    super(
      'ERR_DSPINLOCK_LEASE_LOST',
      why === 'taken'
        ? `the key ${shortKey(key)} is not this holder's any more: its lease had run out, or the key was forgotten`
        : `the lease on the key ${shortKey(key)} ran out before it could be renewed, so somebody else may hold it now; raise leaseMs, or find what stalls the store or this process`,
      { key },
    )
  }
}

/** The reason of a hold's signal when it lasted longer than `maxHoldMs`. */
export class HoldTimeoutError extends DspinlockError {
  constructor(key: string, maxHoldMs: number) {
    super(
      'ERR_DSPINLOCK_HOLD_TIMEOUT',
      `the key ${shortKey(key)} was held for ${maxHoldMs} ms and is not renewed any more; raise maxHoldMs (of a lock: maxBlockMs), or shorten the work`,
      { key },
    )
  }
}

/**
 * `run` with `duplicates: 'reject'` (or `whileInFlight: 'reject'`) found that the same work is being done or was done; or, with `'replay'`,
 * that it was done under `'reject'`, which keeps no result.
 */
export class DuplicateError extends DspinlockError {
  readonly reason: 'in-flight' | 'settled' | 'mismatch'
  /** For `in-flight`, what is left of the lease, in milliseconds, unless the work ends sooner. Otherwise it has no meaning. */
  readonly retryAfterMs: number

  constructor(key: string, reason: 'in-flight' | 'settled' | 'mismatch', retryAfterMs: number) {
    const what = {
      'in-flight': 'is being worked on',
      settled: 'was worked on already',
      mismatch: 'is in use with another payload',
    }[reason]
    super('ERR_DSPINLOCK_DUPLICATE', `the key ${shortKey(key)} ${what}`, { key })
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

/** A result could not be turned into a record (by a codec, or by a lock's `packRecord`), or a record back into a result. */
export class RecordError extends DspinlockError {
  constructor(key: string, direction: 'encode' | 'decode', cause: unknown, wanted: string = storableByCodec) {
    super(
      'ERR_DSPINLOCK_RECORD',
      direction === 'encode'
        ? `the result for the key ${shortKey(key)} cannot be kept for duplicates; return ${wanted}`
        : `what the store holds for the key ${shortKey(key)} is not a record that this codec wrote; give all callers of a key the same codec`,
      { key, cause },
    )
  }
}

const storableByCodec = 'what JSON can express, or pass a codec'
export const storableByLock = 'plain data, or override packRecord()'

/** A lock could not be acquired within `maxSpinlockTries`; `cause` is the WaitTimeoutError behind it. */
export class TriesExceededError extends DspinlockError {
  constructor(key: string, tries: number, sleepMs: number, cause: unknown) {
    const [times, limits] =
      tries === 1
        ? ['1 try', 'maxSpinlockTries']
        : [`${tries} tries, ${sleepMs} ms apart`, 'maxSpinlockTries or spinlockSleepMs']
    super(
      'ERR_DSPINLOCK_TRIES_EXCEEDED',
      `the key ${shortKey(key)} is still blocked after ${times}; raise ${limits}, shorten the work, or try again later`,
      { key, cause },
    )
  }
}

/** A lock with `failIfKeyExists` met a key that is blocked or computed. */
export class KeyExistsError extends DspinlockError {
  readonly state: 'BLOCKED' | 'COMPUTED'

  constructor(key: string, state: 'BLOCKED' | 'COMPUTED') {
    const what =
      state === 'BLOCKED'
        ? 'blocked, and failIfKeyExists is set; try again once its holder has released it'
        : 'computed already, and failIfKeyExists is set; wait for it to expire, or call deleteState()'
    super('ERR_DSPINLOCK_KEY_EXISTS', `the key ${shortKey(key)} is ${what}`, { key })
    this.state = state
  }
}

/** A lock was released that is not held: it was never acquired, was released already, or was lost meanwhile (then `cause` says how). */
export class InvalidReleaseError extends DspinlockError {
  constructor(key: string, why: 'not-held' | 'lost' | 'others', cause?: unknown) {
    const what = {
      'not-held': 'is not held by this lock, so there is nothing to release; await acquire() first, and release once',
      lost: 'was lost before it was released, so others may have held it meanwhile; watch the signal, or raise maxBlockMs',
      others: 'is blocked by another lock; leave its state alone, or pass { force: true }',
    }[why]
    super('ERR_DSPINLOCK_INVALID_RELEASE', `the key ${shortKey(key)} ${what}`, { key, cause })
  }
}

/** A lock was used in a state that does not allow it. */
export class InvalidStateError extends DspinlockError {
  constructor(key: string, operation: string, state: string) {
    super(
      'ERR_DSPINLOCK_INVALID_STATE',
      `${operation} of the key ${shortKey(key)} by a lock that is ${state}; an instance is one holder: release it first, or create another instance`,
      { key },
    )
  }
}

/** `unpackRecord` cannot read what is stored under a key; `cause` says why. */
export class InvalidValueError extends DspinlockError {
  constructor(key: string, cause: unknown) {
    super(
      'ERR_DSPINLOCK_INVALID_VALUE',
      `what is stored for the key ${shortKey(key)} cannot be read; drop it with deleteState(), or keep other programs and versions off this key`,
      { key, cause },
    )
  }
}

/** A value cannot name a lock, because a part of it cannot be hashed; `path` says which. */
export class NotHashableError extends DspinlockError {
  /** For example `value.filters[0]`. */
  readonly path: string

  constructor(path: string, what: string, cause?: unknown) {
    super(
      'ERR_DSPINLOCK_NOT_HASHABLE',
      `${path} is ${what}, which has no stable hash; lock something made of plain data, or give it a method hashCode()`,
      { cause },
    )
    this.path = path
  }
}

/** The store that a lock was told to use is not available. */
export class StoreNotInitialisedError extends DspinlockError {
  constructor(key: string | undefined, why: string, cause?: unknown) {
    const what = key === undefined ? why : `there is no store for the key ${shortKey(key)}: ${why}`
    super('ERR_DSPINLOCK_STORE_NOT_INITIALISED', what, { key, cause })
  }
}

/** Why a store is not available, and the remedy. Not frozen, because then a bundle of the engine alone would have it, too. */
export const storeProblems: Readonly<Record<'noRedisPackage' | 'otherRedisPackage' | 'closed' | 'notMade', string>> = {
  noRedisPackage:
    "the options redis and redisParams need the packages @dspinlock/redis and ioredis, which cannot be imported from here; run `npm install @dspinlock/redis ioredis`, or pass store: redisStore('redis://…')",
  otherRedisPackage:
    'the installed @dspinlock/redis does not go with this @dspinlock/core; install the same version of both',
  closed: 'it was closed; create a new one',
  notMade: 'it could not be made from the options; see the cause',
}

/** The warning about a record that is gone sooner than its work took. */
export const shortTtlWarning = (ttlMs: number): string =>
  `work took longer than its ttlMs (${ttlMs}), so a late retry runs; raise ttlMs`

export const spinlockMemoryHint =
  'a HashDSpinlock was given no connection and uses the memory store of this process, which excludes nobody in other processes. Give it store, redis or redisParams'

/** The error for a wrong option: names it, what it takes, and what was received. */
export function optionError(name: string, received: unknown, expected: string): TypeError {
  return new TypeError(`dspinlock: option ${name} must be ${expected}, but received ${describe(received)}`)
}

export function keyTooLongError(length: number, most: number): TypeError {
  return new TypeError(
    `dspinlock: a key must have at most ${most} characters, but this one has ${length}; use its digest, for example SHA-256`,
  )
}

/** The cause of a StoreError: the store answered with a promise although it says that it is synchronous. */
export function notSynchronousError(): Error {
  return new Error('a synchronous store answered with a promise; set synchronous to false')
}

/** The cause of a StoreError: each time the store's answer came, the lease that it granted had run out. */
export function lateAnswerError(leaseMs: number, tries: number): Error {
  return new Error(
    `${tries} times in a row the answer took longer than the lease of ${leaseMs} ms that it granted; raise leaseMs, or find what stalls the store or this process`,
  )
}

/** Like `optionError`, for options that are a secret or may hold a password: what was received is not repeated. */
export function secretOptionError(name: string, expected: string): TypeError {
  return new TypeError(
    `dspinlock: option ${name} must be ${expected}; what was received is not shown, because it may be confidential`,
  )
}

/** The error for a wrong return value of an overridden method. */
export function hookError(hook: string, received: unknown, expected: string): TypeError {
  return new TypeError(`dspinlock: ${hook}() must return ${expected}, but returned ${describe(received)}`)
}

export function unknownOptionError(where: string, name: string, known: readonly string[]): TypeError {
  return new TypeError(`dspinlock: unknown option ${JSON.stringify(name)} for ${where}; it takes ${known.join(', ')}`)
}

function describe(value: unknown): string {
  // The string may be a URL in the wrong place, with a password in it.
  if (typeof value === 'string') return JSON.stringify(value.replace(/\/\/.*@/s, '//…@'))
  if (typeof value === 'function') return `a function (${value.name || 'anonymous'})`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null)
    return `an object (${value.constructor?.name ?? 'without prototype'})`
  return Object.is(value, -0) ? '-0' : String(value)
}
