// The options of entering a key, and the answers that it can have.

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
   * For how long a hold counts unless renewed, in milliseconds. Default 10 000. A crashed holder blocks its key for that long, and a
   * stalled one keeps it for that long. The hold is renewed every third of that time. At least 10, and longer than the store takes to answer.
   */
  readonly leaseMs?: number
  /** How long to wait for a turn or a record, in milliseconds. Default 30 000. */
  readonly waitMs?: number
  /**
   * The time after which a hold is no longer renewed and its signal aborts, in milliseconds. Default 1 800 000 (30 min), for the
   * middleware 300 000 (5 min).
   */
  readonly maxHoldMs?: number
  /** Aborting this signal ends the wait, and `enter` rejects with its reason. It does not end a hold. */
  readonly signal?: AbortSignal
  /**
   * Only with `'serialise'`: settling leaves a record for `ttlMs` even so. Callers under `'serialise'` do not look at the record, and it
   * does not end their waits; callers under `'replay'` or `'reject'` are answered by it. The next hold under `'serialise'` removes it.
   * Default false.
   */
  readonly leaveRecord?: boolean
  /**
   * How often this call asks the store again while it waits, in case a message was lost, in milliseconds; each time 10 to 30 per cent
   * sooner, at random. Default: the engine's `pollMs`.
   */
  readonly pollMs?: number
  /** A digest of the work's input: the same key with another payload is refused as a mismatch. */
  readonly payload?: string
  /** The kind of work, for metrics and traces: one of a few values, for example a route. Never part of the key. */
  readonly label?: string | undefined
}

/** The holder's handle on its key. */
export interface Hold {
  readonly key: string
  /** Grows with every hold of this key; hand it to the database so that it can refuse a late writer. */
  readonly fence: number
  /** Aborts when the lease was lost or ran out, or after `maxHoldMs`; its reason says which. Never aborts on a normal end. */
  readonly signal: AbortSignal
  /**
   * Ends the hold and leaves a record for duplicates (under `'serialise'`: none unless `leaveRecord`). Resolves to `false` if the hold had
   * been lost; then nothing was stored. With a synchronous store, the answer is no promise. Ending a hold again does nothing: `false`.
   * The store keeps the bytes themselves, so do not write to them afterwards. Rejects with a StoreError if the store cannot be reached.
   * @throws TypeError for a record that is no Uint8Array; the hold goes on.
   */
  settle(record: Uint8Array): MaybePromise<boolean>
  /**
   * Ends the hold and leaves nothing; the next one runs. `passMs` above 0 says that the result cannot be shared, so that for
   * this long duplicates run at once, without a hold. Answers as `settle` does.
   */
  release(options?: { readonly passMs?: number }): MaybePromise<boolean>
  /** Releases, unless the hold was ended already. Never rejects. */
  [Symbol.asyncDispose](): Promise<void>
}

export type Entry =
  /** You hold the key: do the work, then settle or release. */
  | { readonly role: 'holder'; readonly hold: Hold }
  /**
   * Another holder did the work and left `record`, `ageMs` ago. Do not write to `record`: others read the same memory. `joined`: you
   * waited for it while the work was in flight.
   */
  | { readonly role: 'follower'; readonly record: Uint8Array; readonly ageMs: number; readonly joined: boolean }
  /** This key's results cannot be shared for now: do the work, without a hold. */
  | { readonly role: 'pass' }
  /**
   * Do not do the work. `in-flight`: a holder is at work; its lease lasts for `retryAfterMs` more, unless the work ends sooner.
   * `settled`: the work was done less than `ttlMs` ago. `mismatch`: the key was used with another payload.
   */
  | { readonly role: 'refused'; readonly reason: 'in-flight' | 'settled' | 'mismatch'; readonly retryAfterMs: number }
