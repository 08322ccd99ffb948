// A lock on a value; one instance is one holder. The mechanism is here, and subclasses override the hooks.

import { copyBytes, isBytes } from '../bytes.js'
import type { Hold } from '../entry.js'
import {
  hookError,
  InvalidReleaseError,
  InvalidStateError,
  InvalidValueError,
  LeaseLostError,
  optionError,
  RecordError,
  StoreError,
  storableByLock,
  TriesExceededError,
  WaitTimeoutError,
} from '../errors.js'
import { publishTrouble } from '../events.js'
import { attachLogger } from '../logger.js'
import { boolean, isText, optional, parseOptions } from '../options.js'
import { claimKey } from './claim.js'
import { chooseEngine, type EngineSource } from './engines.js'
import { hashValue } from './hash.js'
import { checkRecord } from './record.js'
import { type Blocked, type SpinlockRecord, SpinlockState } from './states.js'
import { watchForTakeover } from './takeover.js'
import {
  readSpinlockOptions,
  readTunables,
  type SpinlockOptions,
  type SpinlockSettings,
  type Tunables,
  tunableDefaults,
  tunableNames,
} from './tunables.js'

export interface AcquireOptions {
  /** Ends the wait; `acquire` and `run` reject with its reason. It does not end a hold. */
  readonly signal?: AbortSignal
}

export interface DeleteStateOptions {
  /** Deletes even while another lock holds the key; the signal of that lock aborts. Default false. */
  readonly force?: boolean
}

/** What the work under a lock is given. */
export interface SpinlockContext {
  readonly key: string
  readonly tag: string
  /** Grows with every hold of the key; hand it to the database so that it can refuse a late writer. */
  readonly fence: number
  /** Aborts when the lock is lost, or held longer than `maxBlockMs`; stop writing then. */
  readonly signal: AbortSignal
}

const readAcquire = {
  signal: optional('an AbortSignal', (given: unknown): given is AbortSignal => given instanceof AbortSignal),
} as const

/**
 * A lock on any value, without the decisions that HashDSpinlock makes: how the key is made, how a lock is tagged, how its
 * record is written. Extend it to make your own.
 */
export abstract class DSpinlockBase implements Tunables {
  maxSpinlockTries: number = tunableDefaults.maxSpinlockTries
  spinlockSleepMs: number = tunableDefaults.spinlockSleepMs
  expireAtMs: number = tunableDefaults.expireAtMs
  maxBlockMs: number = tunableDefaults.maxBlockMs
  leaseMs: number = tunableDefaults.leaseMs
  keyPrefix: string = tunableDefaults.keyPrefix
  keySeparator: string = tunableDefaults.keySeparator

  /** The value that is locked. */
  readonly value: unknown
  /** What `getUid` made of the value when the lock was made; changing the value later has no effect. */
  readonly uid: string

  readonly #settings: SpinlockSettings
  readonly #source: EngineSource
  /** Whether the options were applied again: they override the attributes of a subclass, which are set after this class's constructor. */
  #hasApplied = false
  #key: string | undefined
  #tag: string | undefined
  #phase: 'idle' | 'acquiring' | 'held' | 'releasing' = 'idle'
  /** Set while the phase is `held` or `releasing`. */
  #hold: Hold | undefined
  /** The record that the last acquire found instead of getting a turn. */
  #found: SpinlockRecord | undefined
  /** Whether the last hold ended with a record. */
  #computed = false
  #detachLogger: (() => void) | undefined

  /**
   * Opens no connection yet.
   * @throws TypeError for unknown or wrong options and for two connections; NotHashableError for a value without a hash.
   */
  constructor(value: unknown, options?: SpinlockOptions) {
    this.#settings = readSpinlockOptions(new.target.name, options)
    Object.assign(this, this.#settings.tunables)
    this.value = value
    this.uid = assertText('getUid', this.getUid(value))
    this.#source = chooseEngine(this.#settings)
  }

  // --- what a subclass decides ---

  /** Returns the key of this lock. Equal keys exclude each other, in all processes on the same store. Called once. */
  abstract getKey(): string
  /** Returns a tag that tells this lock from all others on the key; it is kept in the lock's record. Called once. */
  abstract getTag(): string
  /** Turns a lock's record into bytes, which are copied. May throw for a value that it cannot write. */
  abstract packRecord(record: SpinlockRecord): Uint8Array
  /** The reverse of `packRecord`; it is given a Buffer of its own. Whatever it throws becomes the cause of an InvalidValueError. */
  abstract unpackRecord(record: Uint8Array): SpinlockRecord

  /**
   * Returns a name for the value, equal for values that are to be locked as one. By default its hash, see `hashValue`. Called
   * once, by the constructor, when the fields of a subclass are not there yet. @throws NotHashableError
   */
  getUid(value: unknown): string {
    return hashValue(value)
  }

  /** For how long after the work it is remembered that it was done, in milliseconds. By default `expireAtMs`. */
  getExpiry(): number {
    return this.tunables.expireAtMs
  }

  /**
   * Called while this lock waits: whether the block is so old that it may be taken over. By default, if it has lasted longer
   * than `maxBlockMs` on the store's clock. It is called again just before the takeover, which ends only that very block.
   */
  hasExhaustedBlockTime(blocked: Blocked): boolean {
    return blocked.heldMs > this.tunables.maxBlockMs
  }

  // --- what everybody sees ---

  /** What `getKey` returned. @throws TypeError for wrong tunables. */
  get key(): string {
    this.#key ??= assertText('getKey', this.getKey())
    return this.#key
  }

  /** What `getTag` returned. */
  get tag(): string {
    this.#tag ??= assertText('getTag', this.getTag())
    return this.#tag
  }

  /**
   * The state that this lock knows: BLOCKED while it holds the key; COMPUTED after it was released, or if it found that another
   * lock computed it; undefined otherwise, also when the hold was lost. The state in the store may be another one.
   */
  get state(): SpinlockState | undefined {
    if (this.#hold !== undefined) return this.#hold.signal.aborted ? undefined : SpinlockState.BLOCKED
    return this.#computed || this.#found !== undefined ? SpinlockState.COMPUTED : undefined
  }

  /** True if the last `acquire` or `run` found the work done, so that this lock does not hold the key. Only with `cachedIfComputed`. */
  get cached(): boolean {
    return this.#found !== undefined
  }

  /** The result that was found, if one was stored. */
  get cachedValue(): unknown {
    return this.#found?.value
  }

  /** Grows with every hold of the key; undefined unless this lock holds it. */
  get fence(): number | undefined {
    return this.#hold?.fence
  }

  /** Aborts when this lock's hold is lost, or lasts longer than `maxBlockMs`; undefined unless it holds the key. */
  get signal(): AbortSignal | undefined {
    return this.#hold?.signal
  }

  /**
   * Blocks the key, waiting for it if need be, and resolves to this lock. With `cachedIfComputed`, if the work was done or
   * another lock does it meanwhile, it resolves with `cached` true, and nothing is blocked.
   *
   * Rejects with TriesExceededError; KeyExistsError with `failIfKeyExists`; InvalidStateError if this very instance holds or
   * acquires the key already; InvalidValueError; StoreNotInitialisedError; StoreError; the reason of `signal`; a TypeError
   * for wrong tunables.
   */
  async acquire(options?: AcquireOptions): Promise<this> {
    await this.#acquire('acquire', options, false)
    return this
  }

  /**
   * Ends the hold and marks the key as computed for `getExpiry()`. Does nothing for a lock that was `cached`. Rejects with
   * InvalidReleaseError if the lock does not hold the key or has lost it, and with a StoreError.
   */
  async release(): Promise<void> {
    if (this.cached && this.#phase === 'idle') return
    if (this.#phase !== 'held') throw new InvalidReleaseError(this.key, 'not-held')
    await this.#settle(this.#pack(false, undefined))
  }

  /**
   * Runs `task` under the lock, marks the key as computed with its result, and resolves to it; with `cachedIfComputed`,
   * resolves to the result that is stored already, in which case `cached` is true and `task` does not run. A task that throws
   * leaves the key free, and the caller gets its error. If the key is marked as computed without a result,
   * the task runs, under the lock.
   *
   * Rejects as `acquire` does; with InvalidReleaseError if the lock was lost while the task ran; with RecordError if
   * `cachedIfComputed` is set and the result cannot be stored.
   */
  async run<T>(task: (context: SpinlockContext) => T | PromiseLike<T>, options?: AcquireOptions): Promise<T> {
    if (typeof task !== 'function') throw optionError('task', task, 'a function')
    const claimed = await this.#acquire('run', options, true)
    if ('hasValue' in claimed) return claimed.value as T
    const hold = claimed
    let result: T
    let record: Uint8Array
    try {
      // Other code that shares the instance may have ended the hold before this goes on.
      this.#assertHolds(hold)
      const { key, tag } = this
      result = await task({
        key,
        tag,
        fence: hold.fence,
        get signal() {
          return hold.signal
        },
      })
      record = this.#packResult(result)
    } catch (error) {
      if (this.#hold === hold) await this.#abandon()
      throw error
    }
    try {
      this.#assertHolds(hold)
      await this.#settle(record)
    } catch (error) {
      // The work is done, and the caller gets its result; the store's failure was published where it happened.
      if (!(error instanceof StoreError)) throw error
    }
    return result
  }

  /**
   * Frees the key without marking it as computed, because at the end of a block it is not known whether the block failed. To mark
   * it, call `release()` at the end of the block, or use `run`. Never rejects; if the lock was lost, that is published.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#abandon()
  }

  /**
   * Frees the key and forgets that it was computed. False: there was nothing to delete. Rejects with InvalidReleaseError
   * while another lock holds the key, unless `force` is true; with a StoreError.
   */
  async deleteState(options?: DeleteStateOptions): Promise<boolean> {
    const { force } = parseOptions('deleteState', options, { force: boolean(false) })
    const { key } = this
    const engine = await this.#source(key)
    for (;;) {
      const state = await engine.inspect(key)
      if (state === undefined || state.state === 'free') {
        // A hold that ran out could still be settled by its holder.
        if (state !== undefined && force) await engine.forget(key, state.fence)
        return false
      }
      if (state.state === 'held' && this.#phase === 'held' && state.fence === this.fence) return this.#abandon()
      if (state.state === 'held' && !force) throw new InvalidReleaseError(key, 'others')
      if (await engine.forget(key, state.fence)) {
        this.#computed = false
        this.#found = undefined
        return true
      }
    }
  }

  /** Options and attributes; options come first. @throws TypeError naming what is wrong. */
  protected get tunables(): Tunables {
    if (!this.#hasApplied) {
      this.#hasApplied = true
      Object.assign(this, this.#settings.tunables)
    }
    return readTunables(this.constructor.name, Object.fromEntries(tunableNames.map(name => [name, this[name]])))
  }

  // --- the one holder that an instance is ---

  /** Resolves to the hold, or to the record that was found in its place. */
  async #acquire(
    operation: 'acquire' | 'run',
    options: AcquireOptions | undefined,
    needsValue: boolean,
  ): Promise<Hold | SpinlockRecord> {
    const { signal } = parseOptions(operation, options, readAcquire)
    const { key, tunables } = this
    if (this.#phase !== 'idle') throw new InvalidStateError(key, operation, this.#phase)
    this.#phase = 'acquiring'
    this.#found = undefined
    this.#computed = false
    const { logger, failIfKeyExists, cachedIfComputed } = this.#settings
    if (logger !== undefined) this.#detachLogger = attachLogger(logger, { key })
    let stopWatching = (): void => {}
    try {
      const engine = await this.#source(key)
      if (!failIfKeyExists && tunables.maxSpinlockTries > 1) {
        const isExhausted = (blocked: Blocked): boolean => this.#isExhausted(blocked)
        stopWatching = watchForTakeover(engine, { key, everyMs: tunables.spinlockSleepMs, isExhausted })
      }
      const expiryMs = this.#readExpiry()
      const unpack = (record: Uint8Array): SpinlockRecord => this.#unpack(record)
      const rules = { key, tunables, expiryMs, failIfKeyExists, cachedIfComputed, needsValue, signal, unpack }
      const claimed = await claimKey(engine, rules)
      if ('hasValue' in claimed) this.#found = claimed
      else this.#hold = claimed
      return claimed
    } catch (error) {
      if (!(error instanceof WaitTimeoutError)) throw error
      throw new TriesExceededError(key, tunables.maxSpinlockTries, tunables.spinlockSleepMs, error)
    } finally {
      stopWatching()
      if (this.#hold === undefined) this.#toIdle()
      else this.#phase = 'held'
    }
  }

  #assertHolds(hold: Hold): void {
    if (this.#hold !== hold || this.#phase !== 'held') throw new InvalidReleaseError(this.key, 'not-held')
  }

  /** Ends the hold with a record. */
  async #settle(record: Uint8Array): Promise<void> {
    const hold = this.#hold as Hold
    this.#phase = 'releasing'
    try {
      if (!(await hold.settle(record))) throw this.#lost(hold)
      this.#computed = true
    } finally {
      this.#toIdle()
    }
  }

  /** Ends the hold without a record, if there is a hold. Never rejects. False: this lock did not hold the key, or not any more. */
  async #abandon(): Promise<boolean> {
    const hold = this.#hold
    if (hold === undefined || this.#phase !== 'held') return false
    this.#phase = 'releasing'
    try {
      const mine = await hold.release()
      if (!mine) publishTrouble('spinlock', 'release', this.#lost(hold), this.key)
      return mine
    } catch {
      // The error was published where it happened; throwing it here would hide the error that ended the work.
      return false
    } finally {
      this.#toIdle()
    }
  }

  #toIdle(): void {
    this.#phase = 'idle'
    this.#hold = undefined
    this.#detachLogger?.()
    this.#detachLogger = undefined
  }

  #lost(hold: Hold): InvalidReleaseError {
    const { signal } = hold
    return new InvalidReleaseError(
      this.key,
      'lost',
      signal.aborted ? signal.reason : new LeaseLostError(this.key, 'taken'),
    )
  }

  #pack(hasValue: boolean, value: unknown): Uint8Array {
    const { tag } = this
    const record: unknown = this.packRecord({
      state: SpinlockState.COMPUTED,
      tag,
      fence: this.#hold?.fence ?? 0,
      hasValue,
      value,
    })
    if (!isBytes(record)) throw hookError('packRecord', record, 'a Uint8Array')
    return copyBytes(record)
  }

  /** Packs the result if it can be stored; without `cachedIfComputed`, a task may return anything. */
  #packResult(result: unknown): Uint8Array {
    try {
      return this.#pack(true, result)
    } catch (error) {
      if (this.#settings.cachedIfComputed) throw new RecordError(this.key, 'encode', error, storableByLock)
      return this.#pack(false, undefined)
    }
  }

  #unpack(record: Uint8Array): SpinlockRecord {
    try {
      return checkRecord(this.unpackRecord(copyBytes(record)))
    } catch (error) {
      throw new InvalidValueError(this.key, error)
    }
  }

  /** Checks the type, because a promise of false counts as true, and would take the key from a holder at work. */
  #isExhausted(blocked: Blocked): boolean {
    const exhausted: unknown = this.hasExhaustedBlockTime(blocked)
    if (typeof exhausted === 'boolean') return exhausted
    throw hookError('hasExhaustedBlockTime', exhausted, 'true or false')
  }

  #readExpiry(): number {
    const expiry: unknown = this.getExpiry()
    if (typeof expiry === 'number' && Number.isInteger(expiry) && expiry >= 0) return expiry
    throw hookError('getExpiry', expiry, 'milliseconds, a whole number, 0 or more')
  }
}

function assertText(hook: string, given: unknown): string {
  if (isText(given)) return given
  throw hookError(hook, given, 'a string that is not empty')
}
