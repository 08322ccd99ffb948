// The contract between the lock engine and a store, which keeps its claims and records.

/** A value now, or a promise of it: a store in the same process answers at once. */
export type MaybePromise<T> = T | Promise<T>

/**
 * One attempt to become the holder of a key. Sending it again with the same token is always safe: it gets the same
 * answer, keeps its place among the waiters, and never competes with itself.
 */
export interface ClaimRequest {
  readonly key: string
  /**
   * Names this claim, and the hold it may become: the mailbox's id, a dot, and a number that the mailbox never reuses. For one key a
   * mailbox uses its numbers in order: once a claim ended or was left, it makes none under a lower number, so a store may take
   * a claim with a lower number for a late one.
   */
  readonly token: string
  /** For how long the hold counts unless renewed, in milliseconds. A claim by the token that holds already renews it. */
  readonly leaseMs: number
  /** Whether to join the waiters, in the same atomic step, if the key is held. `false`: only look. */
  readonly wait: boolean
  /** Whether a record (or a pass mark) is accepted instead of a turn. `false`: records are ignored and end with the new hold. */
  readonly takeRecord: boolean
  /** A digest of the work's input, kept with hold and record; claims that differ in it mismatch. Empty: nothing is compared. */
  readonly payload: string
  /** 0 at first, then the `arrival` of the reply `busy`, so that a waiter that has to ask again keeps its place. */
  readonly arrival: number
}

export type ClaimReply =
  /** The key is yours for `leaseMs` from the moment the claim was sent. */
  | { readonly state: 'held'; readonly fence: number }
  /**
   * Another holder has the key. `leaseLeftMs`: when its lease ends unless renewed. `arrival`: your place, if you
   * asked to wait. `clockAheadMs`: the store's clock minus `performance.now()`, at most; it turns a wake's
   * `leaseEndsAt` into local time, however long the message was under way.
   */
  | { readonly state: 'busy'; readonly leaseLeftMs: number; readonly arrival: number; readonly clockAheadMs: number }
  | RecordReply
  /** This key's results cannot be shared for now: run without a hold. */
  | { readonly state: 'pass' }
  /** The key is held, or a record was left, with another payload. */
  | { readonly state: 'mismatch'; readonly inFlight: boolean }

/** The work was done `ageMs` ago and left this record. `joined`: you were waiting while it was done. */
export interface RecordReply {
  readonly state: 'record'
  readonly record: Uint8Array
  readonly ageMs: number
  readonly joined: boolean
}

export interface RenewRequest {
  readonly key: string
  readonly token: string
  readonly leaseMs: number
}

export interface SettleRequest {
  readonly key: string
  readonly token: string
  readonly record: Uint8Array
  /** For how long newcomers are given the record. 0: not at all. */
  readonly ttlMs: number
  /** For how long those that waited already may still fetch the record, should their wake be lost. */
  readonly retainMs: number
}

export interface ReleaseRequest {
  readonly key: string
  readonly token: string
  /** Above 0: mark the key as unshareable for that long and wake all waiters that would take a record. */
  readonly passMs: number
  /** The next claim of the same process, which gets the key in the same step unless others are due. */
  readonly next?: ClaimRequest
  /** How many times in a row a process may hand the key on to itself while others wait. */
  readonly maxLocalTurns: number
}

export interface ReleaseReply {
  /** `false`: the hold had been lost before; nothing was changed, and `next` was not looked at. */
  readonly mine: boolean
  /** What became of `next`, as if it had been claimed. */
  readonly next?: ClaimReply
}

/** What a store tells a mailbox; each wake is for one token of that mailbox, except `resync`. */
export type Wake =
  /**
   * The key has been handed to you under a short lease, of a second at most unless the store was given a longer one (`grantMs`): renew it at
   * once. `leaseEndsAt`: on the store's clock, in milliseconds.
   */
  | { readonly kind: 'turn'; readonly token: string; readonly fence: number; readonly leaseEndsAt: number }
  /** The holder settled while you waited. You are no longer among the waiters. */
  | { readonly kind: 'record'; readonly token: string; readonly record: Uint8Array }
  /** The holder released with a pass mark. You are no longer among the waiters. */
  | { readonly kind: 'pass'; readonly token: string }
  /** Your hold was ended by `forget`: stop working under it. */
  | { readonly kind: 'lost'; readonly token: string }
  /** Something changed that is not in this message: claim again. */
  | { readonly kind: 'look'; readonly token: string }
  /** Messages may have been lost: all waiters have to claim again. */
  | { readonly kind: 'resync' }

/** Receives the wakes of one engine. */
export interface Mailbox {
  /** Every token of the engine starts with it. Never empty, without a dot, never repeated by another process. */
  readonly id: string
  close(): void
}

/** The state of one key, for people. */
export interface KeyState {
  readonly key: string
  /** `held`: a holder is at work. `settled`: there is a record. `pass`: marked as unshareable. `free`: none of these. */
  readonly state: 'held' | 'settled' | 'pass' | 'free'
  /** The last fence given out for this key, 0 if it is not known any more. */
  readonly fence: number
  /** Time since the hold began, in milliseconds; 0 unless held. */
  readonly heldMs: number
  /** Time until the hold runs out unless renewed, in milliseconds; 0 unless held. */
  readonly leaseLeftMs: number
  /** Size of the record in bytes; 0 without one. */
  readonly recordBytes: number
  /** Time since the work was done that left the record, in milliseconds; 0 without one. */
  readonly ageMs: number
  /** Time until the record (or the pass mark) ends, in milliseconds; 0 without one. */
  readonly ttlLeftMs: number
  /** How many claims wait: one for each process that waits. */
  readonly waiters: number
}

/**
 * Where claims and records live. Every operation is one atomic step on one key, safe to repeat with the same token,
 * and judged by the store's own clock. `@dspinlock/core/store-contract` is the suite that every store has
 * to pass.
 *
 * A hold whose lease ran out belongs to its token until another token claims the key, because settling late is better
 * than doing the work twice. From the next claim on, the old token can do nothing.
 *
 * Every operation is answered, or fails, within a time of the store's own, because the engine waits for the answer to `settle` and
 * `release` for as long as it takes. What fails is not sent again by the engine, except for `renew`.
 */
export interface Store {
  /** For messages and metrics: `memory`, `redis`. */
  readonly name: string
  /** Whether all operations answer without promises, so that a holder that settles knows the result at once. */
  readonly synchronous: boolean
  /** True once `close` was called. */
  readonly closed: boolean
  /**
   * Opens a mailbox. `onWake` does not throw. A store that is not synchronous sends it `resync` once messages arrive, and again whenever
   * some may have been lost in between.
   */
  open(onWake: (wake: Wake) => void): Mailbox
  /**
   * Take a free key, join the waiters of a held one, or be given a record or pass mark instead.
   *
   * In this order: held by this token → renewed, `held` with the same fence. Ended or left by this token within the last
   * seconds → `busy` with nothing left and no arrival, because nobody waits for the answer any more. A record that this claim may
   * have (it takes records, and the record is within `ttlMs`, or was settled after this claim's `arrival` and is within
   * `retainMs`) → `record`, and the claim leaves the waiters. A pass mark, and it takes records → `pass`, likewise.
   * Held by another whose lease has not run out → `mismatch` if payloads differ, else `busy`, joining if `wait`; a token that
   * waits already keeps its place, and its newest options count.
   * Free or run out, and another waits ahead → that one is handed the key with a wake, and the answer is as for a key that is
   * held by another. Otherwise → `held` under a new fence; a claim that does not take records ends the record.
   * A record for another payload → `mismatch`, not in flight.
   */
  claim(request: ClaimRequest): MaybePromise<ClaimReply>
  /**
   * Optional, and only for stores that are not synchronous: the record with which a first claim (`arrival` 0) that takes records would be
   * answered, if it is known in this process. Undefined: `claim` has to be called. It changes nothing, answers without a promise,
   * and does not throw, even after `close`. It does not give records that this store itself dropped by `forget`; how soon it
   * learns of records that others dropped is up to the store, but no record is given for longer than it lives.
   */
  recall?(key: string, payload: string): RecordReply | undefined
  /** Extend the lease to `leaseMs` from now, unless it lasts longer already: it is never shortened. `false`: it is not this token's hold any more. */
  renew(request: RenewRequest): MaybePromise<boolean>
  /**
   * End the hold and leave a record: every waiter that takes records is woken with it (or told to look, if it is large or the payloads
   * differ) and is no longer a waiter; the first of the others is handed the key, which ends the record for newcomers.
   * `false`: it is not this token's hold any more, and nothing changed. Repeated by the token that settled last: `true`.
   */
  settle(request: SettleRequest): MaybePromise<boolean>
  /**
   * End the hold and leave nothing: the first waiter is handed the key. With `next`, that claim comes first, unless
   * others wait and this process has had `maxLocalTurns` turns in a row; then it joins the waiters by its arrival. A next
   * claim whose token ended or left before takes nothing, as in `claim`.
   * Repeated by the token that released last: the same answer.
   */
  release(request: ReleaseRequest): MaybePromise<ReleaseReply>
  /**
   * A waiter gives up. If the key had been handed to it, the key goes to the next waiter. For a token that does not wait,
   * nothing changes. A claim by this token that arrives later, by whatever detour, takes nothing.
   */
  leave(key: string, token: string): MaybePromise<void>
  /**
   * Drop hold, record and mark of a key, tell its holder, and tell its waiters to look again. With `fence`: only if that is
   * still the last fence given out for the key. `false`: nothing was dropped.
   */
  forget(key: string, fence?: number): MaybePromise<boolean>
  /** What is known about one key; undefined if nothing. For people. */
  inspect(key: string): MaybePromise<KeyState | undefined>
  /** Every live key, in no order, and not all as of the same moment. For people; never on a request's path. */
  list(): AsyncIterable<KeyState>
  /**
   * Stop wakes, and close connections that the store opened itself. Later operations are refused with a ClosedError; a second call does
   * nothing.
   */
  close(): MaybePromise<void>
}
