// The contract between the lock engine and whatever keeps its claims and records.

/** A value now, or a promise of it: a store in the same process answers at once. */
export type MaybePromise<T> = T | Promise<T>

/**
 * One attempt to become the holder of a key. Sending it again with the same token is always safe: it is told the
 * same, keeps its place among the waiters, and never competes with itself.
 */
export interface ClaimRequest {
  readonly key: string
  /**
   * Names this claim, and the hold it may become: the mailbox's id, a dot, and a number that the mailbox never reuses. For one key a
   * mailbox uses its numbers in order: once a claim ended or was left, it makes none under a lower number, and a store may take
   * such a one for late.
   */
  readonly token: string
  /** For how long the hold counts unless renewed, in milliseconds. A claim by the token that holds already renews it. */
  readonly leaseMs: number
  /** If the key is held: join its waiters in the same atomic step. `false`: only look. */
  readonly wait: boolean
  /** A record (or a pass mark) would do as well as a turn. `false`: records are ignored and end with the new hold. */
  readonly takeRecord: boolean
  /** What the work is to be done with, kept beside hold and record; claims that differ in it mismatch. Empty: nothing is compared. */
  readonly payload: string
  /** 0 at first, then what `busy` told, so that a waiter that had to ask again keeps its place. */
  readonly arrival: number
}

export type ClaimReply =
  /** The key is yours for `leaseMs` from the moment the claim was sent. */
  | { readonly state: 'held'; readonly fence: number }
  /**
   * Somebody else holds the key. `leaseLeftMs`: when the lease ends unless renewed. `arrival`: your place, if you
   * asked to wait. `clockAheadMs`: the store's clock minus `performance.now()`, at the most; it turns a wake's
   * `leaseEndsAt` into local time without trusting how long the message was under way.
   */
  | { readonly state: 'busy'; readonly leaseLeftMs: number; readonly arrival: number; readonly clockAheadMs: number }
  | RecordReply
  /** This key's results cannot be shared for now: run without a hold. */
  | { readonly state: 'pass' }
  /** Held or recorded for another payload. */
  | { readonly state: 'mismatch'; readonly inFlight: boolean }

/** The work was done `ageMs` ago; this is what it left. `joined`: you were waiting while it was done. */
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
  /** For how long those who already waited may still fetch it, should their wake be lost. */
  readonly retainMs: number
}

export interface ReleaseRequest {
  readonly key: string
  readonly token: string
  /** Above 0: mark the key as unshareable for that long and wake all waiters that would take a record. */
  readonly passMs: number
  /** The next claim of the same process, to be given the key in the same step unless others are due. */
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

/** What a store tells a mailbox, each for one waiting token of that mailbox, save for `resync`. */
export type Wake =
  /** The key has been handed to you under a short lease: renew it at once. `leaseEndsAt`: on the store's clock, in milliseconds. */
  | { readonly kind: 'turn'; readonly token: string; readonly fence: number; readonly leaseEndsAt: number }
  /** The holder settled while you waited. You are no longer among the waiters. */
  | { readonly kind: 'record'; readonly token: string; readonly record: Uint8Array }
  /** The holder released with a pass mark. You are no longer among the waiters. */
  | { readonly kind: 'pass'; readonly token: string }
  /** Your hold was ended by `forget`: stop working under it. */
  | { readonly kind: 'lost'; readonly token: string }
  /** Something changed that does not fit into a message: claim again. */
  | { readonly kind: 'look'; readonly token: string }
  /** Messages may have been lost: everyone who waits claims again. */
  | { readonly kind: 'resync' }

/** Where one engine's wakes arrive. */
export interface Mailbox {
  /** Starts every token of its engine. Never empty, never repeated by another process, without a dot. */
  readonly id: string
  close(): void
}

/** What people may see of one key. */
export interface KeyState {
  readonly key: string
  /** `held`: somebody works on it. `settled`: there is a record. `pass`: marked as unshareable. `free`: none of these. */
  readonly state: 'held' | 'settled' | 'pass' | 'free'
  /** The last fence given out for this key, 0 if it is not known any more. */
  readonly fence: number
  /** Since the hold began, in milliseconds; 0 unless held. */
  readonly heldMs: number
  /** Until the hold runs out unless renewed, in milliseconds; 0 unless held. */
  readonly leaseLeftMs: number
  /** Size of the record in bytes; 0 without one. */
  readonly recordBytes: number
  /** Since the record was stored, in milliseconds; 0 without one. */
  readonly ageMs: number
  /** Until the record (or the pass mark) ends, in milliseconds; 0 without one. */
  readonly ttlLeftMs: number
  /** How many claims wait: one for each process that waits. */
  readonly waiters: number
}

/**
 * Where claims and records live. Every operation is one atomic step on one key, safe to repeat with the same token,
 * and judged by the store's own clock. `@dspinlock/core/store-contract` is the suite that says whether a
 * store is one.
 *
 * A hold whose lease ran out belongs to its token until somebody else claims the key: settling late is better than
 * doing the work twice. From the next claim on, the old token can do nothing.
 */
export interface Store {
  /** For messages and metrics: `memory`, `redis`. */
  readonly name: string
  /** Answers without promises: whoever settles knows at once. */
  readonly synchronous: boolean
  /** True once `close` was called. */
  readonly closed: boolean
  /** Opens a mailbox. `onWake` must not throw. */
  open(onWake: (wake: Wake) => void): Mailbox
  /**
   * Take a free key, join the waiters of a held one, or be given what is there instead.
   *
   * In this order: held by this token → renewed, `held` with the same fence. Ended or left by this token within the last
   * seconds → `busy` with nothing left and no arrival, as nobody waits for the answer any more. A record that this claim may have
   * (it takes records, and the record is within `ttlMs`, or was settled after this claim's `arrival` and is within
   * `retainMs`) → `record`, and the claim leaves the waiters. A pass mark, and it takes records → `pass`, likewise.
   * Held by another whose lease has not run out → `mismatch` if payloads differ, else `busy`, joining if `wait`; who waits
   * already keeps its place, and the newest wish counts.
   * Free or run out, and another waits ahead → that one is handed the key with a wake, and the answer is as for held
   * by another. Otherwise → `held` under a new fence; a claim that does not take records ends the record.
   * A record for another payload → `mismatch`, not in flight.
   */
  claim(request: ClaimRequest): MaybePromise<ClaimReply>
  /**
   * Only for stores that are not synchronous, and may be left out: the record that a first claim (`arrival` 0) which takes records would be
   * answered with, if that is known in this process. Undefined: `claim` has to be asked. It changes nothing, answers without a promise,
   * and does not throw, also not after `close`. What this store itself dropped by `forget` it does not answer; how soon it
   * learns of what others dropped is the store's to say, and within its time the record ends here, too.
   */
  recall?(key: string, payload: string): RecordReply | undefined
  /** Extend the lease to `leaseMs` from now, unless it lasts longer already: it is never shortened. `false`: it is not this token's hold any more. */
  renew(request: RenewRequest): MaybePromise<boolean>
  /**
   * End the hold and leave a record: every waiter that takes records is woken with it (or, if it is large or their payloads differ, told to
   * look) and is no longer a waiter; the first of the others is handed the key, which ends the record for newcomers.
   * `false`: it is not this token's hold any more, and nothing changed. Repeated by the token that settled last: `true`.
   */
  settle(request: SettleRequest): MaybePromise<boolean>
  /**
   * End the hold and leave nothing: the first waiter is handed the key. With `next`, that claim comes first unless
   * others wait and this process had `maxLocalTurns` turns in a row; then it joins the waiters as its arrival says. A next
   * claim whose token ended or left before takes nothing, as in `claim`.
   * Repeated by the token that released last: the same answer.
   */
  release(request: ReleaseRequest): MaybePromise<ReleaseReply>
  /**
   * A waiter gives up. If the key had been handed to it, it goes to the next. Of a token that does not wait: nothing
   * changes. A claim by this token that arrives afterwards, by whatever detour, takes nothing.
   */
  leave(key: string, token: string): MaybePromise<void>
  /**
   * Drop hold, record and mark of a key, tell its holder, and tell its waiters to look again. With `fence`: only while that is
   * still the last fence given out for the key. `false`: nothing was dropped.
   */
  forget(key: string, fence?: number): MaybePromise<boolean>
  /** What is known of one key; undefined if nothing. For people. */
  inspect(key: string): MaybePromise<KeyState | undefined>
  /** Every live key, in no order, not as of one moment. For people; never on a request's path. */
  list(): AsyncIterable<KeyState>
  /** Stop wakes and connections that the store opened itself. Later operations are refused; a second call does nothing. */
  close(): MaybePromise<void>
}
