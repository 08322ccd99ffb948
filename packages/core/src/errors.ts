// Every error class of this package and every message that a user can see.

/** Below this class are all errors that dspinlock throws at run time. Wrong options are TypeErrors instead. */
export class DspinlockError extends Error {
  /** Stable, for programs: `ERR_DSPINLOCK_…`. */
  readonly code: string
  /** The key it is about, if it is about one. */
  readonly key: string | undefined

  constructor(code: string, message: string, options: { key?: string | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.key = options.key
  }
}

const shortKey = (key: string): string => JSON.stringify(key.length > 80 ? `${key.slice(0, 77)}…` : key)

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

/** Too many wait already; this one was not let in. */
export class WaiterLimitError extends DspinlockError {
  constructor(key: string, option: 'maxWaiters' | 'maxWaitersPerKey', limit: number) {
    super(
      'ERR_DSPINLOCK_WAITER_LIMIT',
      `${limit} callers wait already and one more came for the key ${shortKey(key)}; raise ${option}, or shed load`,
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

/** The store did not do what was asked in time. `operation` and `key` say what; `cause` says why. */
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

/** The reason of a hold's signal when the lease was taken away or ran out. */
export class LeaseLostError extends DspinlockError {
  constructor(key: string, why: 'taken' | 'expired') {
    super(
      'ERR_DSPINLOCK_LEASE_LOST',
      why === 'taken'
        ? `the key ${shortKey(key)} is not this holder's any more: its lease had run out, or the key was forgotten`
        : `the lease on the key ${shortKey(key)} ran out before it could be renewed; somebody else may hold it now`,
      { key },
    )
  }
}

/** The reason of a hold's signal when it lasted longer than `maxHoldMs`. */
export class HoldTimeoutError extends DspinlockError {
  constructor(key: string, maxHoldMs: number) {
    super(
      'ERR_DSPINLOCK_HOLD_TIMEOUT',
      `the key ${shortKey(key)} was held for ${maxHoldMs} ms and is no longer renewed; raise maxHoldMs if the work takes that long`,
      { key },
    )
  }
}

/** `run` with `duplicates: 'reject'` (or `whileInFlight: 'reject'`) met another that is or was at the same work. */
export class DuplicateError extends DspinlockError {
  readonly reason: 'in-flight' | 'settled' | 'mismatch'
  /** When trying again may make sense, in milliseconds from now. */
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

/** A result could not be turned into a record, or a record back into a result. */
export class RecordError extends DspinlockError {
  constructor(key: string, direction: 'encode' | 'decode', cause: unknown) {
    super(
      'ERR_DSPINLOCK_RECORD',
      direction === 'encode'
        ? `the result for the key ${shortKey(key)} cannot be kept for duplicates; return what JSON can express, or pass a codec`
        : `what the store holds for the key ${shortKey(key)} is not a record that this codec wrote`,
      { key, cause },
    )
  }
}

/** How a wrong option is reported: its name, what was received, what it takes. */
export function optionError(name: string, received: unknown, expected: string): TypeError {
  return new TypeError(`dspinlock: option ${name} must be ${expected}, but received ${describe(received)}`)
}

export function keyTooLongError(length: number, most: number): TypeError {
  return new TypeError(
    `dspinlock: a key must have at most ${most} characters, but this one has ${length}; use a digest of it, for example SHA-256`,
  )
}

/** The cause of a StoreError: by the time the store answered, its answer was worth nothing any more. */
export function lateAnswerError(leaseMs: number, tries: number): Error {
  return new Error(
    `${tries} times in a row the answer took longer than the lease of ${leaseMs} ms that it granted; raise leaseMs, or look for what stalls the store or this process`,
  )
}

export function unknownOptionError(where: string, name: string, known: readonly string[]): TypeError {
  return new TypeError(`dspinlock: unknown option ${JSON.stringify(name)} for ${where}; it takes ${known.join(', ')}`)
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return `a function (${value.name || 'anonymous'})`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'object' && value !== null)
    return `an object (${value.constructor?.name ?? 'without prototype'})`
  return Object.is(value, -0) ? '-0' : String(value)
}
