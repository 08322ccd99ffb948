// What entering a key can come to, and what whoever enters may ask for.

import type { MaybePromise } from './store.js'

/** What duplicates get while a key is held and after it was settled. */
export type Duplicates = 'serialise' | 'replay' | 'reject'

export interface EnterOptions {
  /**
   * `'serialise'` (default): all run, one after another. `'replay'`: duplicates get the holder's record, while it is in
   * flight and for `ttlMs` after. `'reject'`: duplicates are refused while one is in flight, and until `ttlMs` after it was settled.
   */
  readonly duplicates?: Duplicates
  /** For how long a record answers newcomers, in milliseconds. Default 0: only waiters get it. Not with `'serialise'`. */
  readonly ttlMs?: number
  /** Under `'replay'`, while the holder is at work, duplicates wait for its record (`'wait'`, the default) or are refused (`'reject'`). */
  readonly whileInFlight?: 'wait' | 'reject'
  /**
   * For how long a hold counts unless renewed, in milliseconds. Default 10 000: a crashed holder blocks its key for that long, and a
   * stalled one keeps it for that long. It is renewed every third of that time. At least 10, and longer than the store takes to answer.
   */
  readonly leaseMs?: number
  /** For how long to wait for a turn or a record, in milliseconds. Default 30 000. */
  readonly waitMs?: number
  /**
   * After how long a hold is no longer renewed and its signal aborts, in milliseconds. Default 1 800 000 (30 min), for the middleware
   * 300 000 (5 min).
   */
  readonly maxHoldMs?: number
  /** Aborting it ends the wait, and `enter` rejects with its reason. It does not end a hold. */
  readonly signal?: AbortSignal
  /**
   * Only with `'serialise'`: settling leaves a record for `ttlMs` all the same. Callers under `'serialise'` do not look at it, and it
   * ends no wait of theirs; callers under `'replay'` or `'reject'` are answered by it. The next hold under `'serialise'` removes it.
   * Default false.
   */
  readonly leaveRecord?: boolean
  /**
   * How often this call asks again while it waits, in case a message was lost, in milliseconds; at random, each time, 10 to 30 per cent
   * sooner. Default: the engine's `pollMs`.
   */
  readonly pollMs?: number
  /** Digest of the work's input: the same key with another payload is refused as a mismatch. */
  readonly payload?: string
  /** What kind of work it is, for metrics and traces: one of a few values, for example a route. Never part of the key. */
  readonly label?: string
}

/** The holder's handle on its key. */
export interface Hold {
  readonly key: string
  /** Grows with every hold of this key; hand it to the database so that it can refuse a late writer. */
  readonly fence: number
  /** Aborts when the lease is lost or ran out, after `maxHoldMs`, never on a normal end. Its reason says which. */
  readonly signal: AbortSignal
  /**
   * End the hold and leave a record for duplicates (under `'serialise'`: none unless `leaveRecord`). Resolves to `false` if the hold had been
   * lost: nothing was stored then. A synchronous store answers without a promise. A second end does nothing: `false`.
   * The store keeps the bytes themselves: do not write to them afterwards. Rejects with a StoreError if the store cannot be reached.
   * @throws TypeError for a record that is no Uint8Array; the hold goes on.
   */
  settle(record: Uint8Array): MaybePromise<boolean>
  /**
   * End the hold and leave nothing; the next one runs. `passMs` above 0: the result cannot be shared, so that for
   * this long duplicates run at once, without a hold. Answers as `settle` does.
   */
  release(options?: { readonly passMs?: number }): MaybePromise<boolean>
  /** Releases, unless the hold was ended already. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

export type Entry =
  /** You are the only one: do the work, then settle or release. */
  | { readonly role: 'holder'; readonly hold: Hold }
  /**
   * Somebody did the work: `record` is what it left `ageMs` ago, in memory that others read, too: not to be written to. `joined`: you waited for it
   * while it was in flight.
   */
  | { readonly role: 'follower'; readonly record: Uint8Array; readonly ageMs: number; readonly joined: boolean }
  /** This key's results cannot be shared for now: do the work, without a hold. */
  | { readonly role: 'pass' }
  /**
   * Do not do the work. `in-flight`: somebody is at it, for `retryAfterMs` more at the least unless it ends sooner.
   * `settled`: it was done less than `ttlMs` ago. `mismatch`: the key was used with another payload.
   */
  | { readonly role: 'refused'; readonly reason: 'in-flight' | 'settled' | 'mismatch'; readonly retryAfterMs: number }
