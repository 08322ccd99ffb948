// The lock engine: one lane for each key that this process is interested in, one mailbox, one lease keeper.

import { answerFor } from './answers.js'
import type { EnterOptions, Entry } from './entry.js'
import { asStoreError, ClosedError, keyTooLongError, optionError, WaiterLimitError } from './errors.js'
import { channels, publishTrouble } from './events.js'
import { Lane, type LaneHost } from './lane.js'
import { LeaseKeeper } from './lease-keeper.js'
import { assertNames, integer, parseOptions, timerMs } from './options.js'
import { type CallOptions, type Cancellation, type EnginePolicyOptions, enterOptionNames, Policy } from './policy.js'
import { type RunOptions, runTask, type Task } from './run.js'
import { ShortLivedMap } from './short-lived-map.js'
import type { KeyState, Mailbox, MaybePromise, Store, Wake } from './store.js'
import { type EnterCall, openEnter } from './tracing.js'

export interface EngineOptions {
  /** Where claims and records live. */
  readonly store: Store
  /** How many callers may wait in this process. Default 10 000; one more gets a WaiterLimitError. */
  readonly maxWaiters?: number | undefined
  /** How many callers may wait for one key in this process. Default 1 000. */
  readonly maxWaitersPerKey?: number | undefined
  /**
   * How often a waiter asks the store again in case a message was lost, in milliseconds; each time 10 to 30 per cent sooner, at random.
   * Default 1 000. If a key was handed over to a process that has died, the others lose about that time at most, or the
   * store's `grantMs` if that is longer.
   */
  readonly pollMs?: number
}

export interface CloseOptions {
  /** How long to wait for the holders to finish, in milliseconds. Default 30 000. */
  readonly timeoutMs?: number
}

/** In UTF-16 units: 1 MiB of ASCII. Limited because every operation reads the whole key, and every waiter's message names it. */
const MAX_KEY_LENGTH = 1_048_576

const storeMethods = [
  'open',
  'claim',
  'renew',
  'settle',
  'release',
  'leave',
  'forget',
  'inspect',
  'list',
  'close',
] as const

const shape = {
  store: readStore,
  maxWaiters: integer(10_000, 1),
  maxWaitersPerKey: integer(1_000, 1),
  pollMs: timerMs(1_000),
} as const

/**
 * Lets one caller at a time through for each key, across all engines whose stores share their data.
 * @throws TypeError at construction for unknown or wrong options, a store without one of its methods, or a closed store.
 */
export class LockEngine {
  readonly store: Store
  readonly #maxWaiters: number
  readonly #maxWaitersPerKey: number
  readonly #lanes = new ShortLivedMap<Lane>()
  /** The lane that a wake is for, by token; holds all tokens that `newToken` gave out and that were not dropped yet. */
  readonly #tokens = new ShortLivedMap<Lane>()
  readonly #keeper = new LeaseKeeper()
  readonly #mailbox: Mailbox
  readonly #host: LaneHost
  #nextToken = 0
  #waiters = 0
  /** How many leaves the store has not answered yet. If it were closed before, a key that it has just granted would stay held by nobody. */
  #leaves = 0
  #closing: Promise<void> | undefined
  /** Called whenever a lane has gone or a leave was answered; set only while closing. */
  #onIdle: (() => void) | undefined

  constructor(options: EngineOptions) {
    const { store, maxWaiters, maxWaitersPerKey, pollMs } = parseOptions('LockEngine', options, shape)
    loadLog()
    this.store = store
    this.#maxWaiters = maxWaiters
    this.#maxWaitersPerKey = maxWaitersPerKey
    this.#mailbox = store.open(wake => this.#onWake(wake))
    this.#host = this.#makeHost(pollMs)
  }

  /** How many callers wait in this process. */
  get waiters(): number {
    return this.#waiters
  }

  /** How many keys this process holds or waits for. */
  get keys(): number {
    return this.#lanes.size
  }

  /** True once `close` was called. */
  get closed(): boolean {
    return this.#closing !== undefined
  }

  /**
   * Asks for the key, and waits for it if the options say so. `options` may be a Policy, which saves reading them at each call.
   * Rejects with WaitTimeoutError, WaiterLimitError, StoreError, ClosedError, or the reason of `signal`; with a
   * TypeError for wrong options.
   */
  enter(key: string, options?: EnterOptions | Policy, call?: CallOptions): Promise<Entry> {
    try {
      const { policy, signal, payload, label } = readCall(options, call)
      assertKey(key)
      const trace = openEnter(key, policy.duplicates, label)
      if (trace === undefined) return this.#enter(key, policy, payload, signal, undefined)
      return trace.follow(() => this.#enter(key, policy, payload, signal, trace))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #enter(
    key: string,
    policy: Policy,
    payload: string,
    signal: Cancellation | undefined,
    trace: EnterCall | undefined,
  ): Promise<Entry> {
    if (signal?.aborted === true) throw signal.reason
    return this.#laneOf(key).enter(policy, payload, signal, trace)
  }

  /**
   * Like `enter`, for callers that must not be delayed by even a microtask: returns the answer if there is one at once. Undefined if
   * it takes waiting, or asking a store that is not synchronous; then nothing was claimed.
   * @throws what `enter` rejects with.
   */
  enterAtOnce(key: string, policy: Policy, call?: Omit<CallOptions, 'signal'>): Entry | undefined {
    assertKey(key)
    const payload = call?.payload ?? ''
    const entry = this.store.synchronous
      ? this.#laneOf(key).enterAtOnce(policy, payload)
      : this.#recall(key, policy, payload)
    if (entry === undefined) return undefined
    return openEnter(key, policy.duplicates, call?.label)?.follow(() => entry) ?? entry
  }

  /** What `enter` would answer, if the store knows that without asking. Not used while this process holds the key or waits for it. */
  #recall(key: string, policy: Policy, payload: string): Entry | undefined {
    if (!policy.takesRecord || this.closed || this.#lanes.get(key) !== undefined) return undefined
    const reply = this.store.recall?.(key, payload)
    if (reply === undefined) return undefined
    const asker = { policy, payload }
    return answerFor(asker, reply, asker)
  }

  /**
   * Runs `task` when it holds the key, and ends the hold afterwards. Under `'replay'` its result is encoded (JSON
   * unless `codec` says otherwise) and given to duplicates, each of which gets a copy of its own. An error of the task is
   * rethrown as it is, leaves no record, and lets the next one run. Rejects with the errors of `enter`; with DuplicateError if
   * the options refuse duplicates, or if the work was done under `'reject'`, so that there is no result to replay; with RecordError if the result cannot be encoded. If the hold is lost while the task runs, that is no
   * error: the task's signal says so, and its result is given to nobody else.
   */
  run<T>(key: string, task: Task<T>, options?: RunOptions<T>): Promise<T> {
    return runTask(this, key, task, options)
  }

  /**
   * Takes the key away from the holder with this `fence`, or drops the record that it left, if no other has held the key
   * since. `false`: another has, or there is nothing left to drop. A holder in this process is told at once, another one by a
   * message, and with its next renewal at the latest. Rejects with a StoreError.
   */
  async forget(key: string, fence: number): Promise<boolean> {
    const dropped = await this.#ask('forget', key, () => this.store.forget(key, fence))
    if (dropped) this.#lanes.get(key)?.forgotten(fence)
    if (dropped && channels.forget.hasSubscribers) channels.forget.publish({ key, fence })
    return dropped
  }

  /** What the store knows about the key; undefined if nothing. Rejects with a StoreError. */
  inspect(key: string): Promise<KeyState | undefined> {
    return this.#ask('inspect', key, () => this.store.inspect(key))
  }

  async #ask<T>(operation: 'forget' | 'inspect', key: string, ask: () => MaybePromise<T>): Promise<T> {
    try {
      return await ask()
    } catch (error) {
      throw asStoreError(this.store, operation, key, error)
    }
  }

  /**
   * Refuses newcomers and waiters with a ClosedError, waits for the holders to end and for the store to know that nobody waits here any
   * more, and detaches from the store, which stays open. Resolves after `timeoutMs` at the latest; a second call waits for the first. Holds
   * that last longer are not renewed any more: their signals abort when their leases run out.
   */
  close(options?: CloseOptions): Promise<void> {
    const { timeoutMs } = parseOptions('close', options, { timeoutMs: timerMs(30_000, 0) })
    this.#closing ??= this.#drain(timeoutMs)
    return this.#closing
  }

  #laneOf(key: string): Lane {
    if (this.closed) throw new ClosedError('engine', key)
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      lane = new Lane(key, this.#host)
      this.#lanes.set(key, lane)
    }
    return lane
  }

  async #drain(timeoutMs: number): Promise<void> {
    for (const lane of this.#lanes.values()) lane.rejectAll(key => new ClosedError('engine', key))
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#onIdle = () => {
        if (this.#lanes.size + this.#leaves > 0) return
        clearTimeout(timer)
        resolve()
      }
      this.#onIdle()
    })
    this.#keeper.stop()
    this.#mailbox.close()
  }

  #onWake(wake: Wake): void {
    if (wake.kind !== 'resync') this.#tokens.get(wake.token)?.wake(wake)
    else for (const lane of this.#lanes.values()) lane.resync()
  }

  #makeHost(pollMs: number): LaneHost {
    const { store } = this
    return {
      store,
      keeper: this.#keeper,
      pollMs,
      newToken: lane => {
        const token = `${this.#mailbox.id}.${++this.#nextToken}`
        this.#tokens.set(token, lane)
        return token
      },
      dropToken: token => this.#tokens.delete(token),
      addWaiter: (key, others) => {
        if (this.#waiters >= this.#maxWaiters) throw new WaiterLimitError(key, 'maxWaiters', this.#maxWaiters)
        if (others >= this.#maxWaitersPerKey) {
          throw new WaiterLimitError(key, 'maxWaitersPerKey', this.#maxWaitersPerKey)
        }
        this.#waiters++
      },
      removeWaiter: () => void this.#waiters--,
      leave: async (key, token) => {
        this.#leaves++
        try {
          await store.leave(key, token)
        } catch (error) {
          publishTrouble('core', 'leave', error, key)
        }
        this.#leaves--
        this.#onIdle?.()
      },
      laneIdle: lane => {
        if (this.#lanes.get(lane.key) === lane) this.#lanes.delete(lane.key)
        this.#onIdle?.()
      },
    }
  }
}

/** Loads the log only if the environment asks for one. Code that must not miss its first line calls `logByEnvironment` before. */
function loadLog(): void {
  const { SL_LOG_ENABLED, DEBUG } = process.env
  if (SL_LOG_ENABLED || DEBUG) void import('./log-environment.js').then(({ logByEnvironment }) => logByEnvironment())
}

function assertKey(key: string): void {
  if (typeof key !== 'string') throw optionError('key', key, 'a string; encode bytes, for example as hex')
  if (key.length > MAX_KEY_LENGTH) throw keyTooLongError(key.length, MAX_KEY_LENGTH)
}

function readCall(
  options: EnterOptions | Policy | undefined,
  call: CallOptions | undefined,
): { policy: Policy; signal: Cancellation | undefined; payload: string; label: string | undefined } {
  if (options === undefined || options instanceof Policy) {
    return { policy: options ?? serialise, signal: call?.signal, payload: call?.payload ?? '', label: call?.label }
  }
  assertNames('enter', options, enterOptionNames)
  const { signal = call?.signal, payload = call?.payload ?? '', label = call?.label, ...rest } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw optionError('signal', signal, 'an AbortSignal')
  if (typeof payload !== 'string') throw optionError('payload', payload, 'a string')
  if (label !== undefined && typeof label !== 'string') throw optionError('label', label, 'a string')
  return { policy: new Policy(rest as EnginePolicyOptions), signal, payload, label }
}

const serialise = new Policy()

function readStore(given: unknown, name: string): Store {
  const store = given as Store
  for (const method of storeMethods) {
    if (typeof (given as Partial<Store> | null | undefined)?.[method] !== 'function') {
      throw optionError(name, given, `a store like memoryStore() or redisStore(…), with ${method}()`)
    }
  }
  if (store.closed) throw optionError(name, given, 'an open store; this one was closed already')
  return store
}
