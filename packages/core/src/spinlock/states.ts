// The two states in which a lock's key can be, and what is known of each.

/** `BLOCKED`: somebody is at work. `COMPUTED`: the work was done, not longer ago than `expireAtMs`. Absent: neither. */
export const SpinlockState: { readonly BLOCKED: 'BLOCKED'; readonly COMPUTED: 'COMPUTED' } = Object.freeze({
  BLOCKED: 'BLOCKED',
  COMPUTED: 'COMPUTED',
})

export type SpinlockState = (typeof SpinlockState)[keyof typeof SpinlockState]

/** Another holder's block on a key, as the store sees it at this moment. */
export interface Blocked {
  readonly key: string
  /** Names this very hold: it grows with every one. */
  readonly fence: number
  /** Since the block began, in milliseconds on the store's clock. */
  readonly heldMs: number
}

/** What a lock leaves in the store when it is computed. */
export interface SpinlockRecord {
  readonly state: 'COMPUTED'
  /** Of the lock that did the work. */
  readonly tag: string
  /** Under which it did. */
  readonly fence: number
  /** False: somebody released the lock without giving a result. */
  readonly hasValue: boolean
  /** What `run` returned; undefined without one. */
  readonly value: unknown
}
