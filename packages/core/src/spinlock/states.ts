// The two states that a lock's key can have, and what is known in each.

/** `BLOCKED`: a holder is at work. `COMPUTED`: the work was done, within the last `expireAtMs`. A key with no state is neither. */
export const SpinlockState: { readonly BLOCKED: 'BLOCKED'; readonly COMPUTED: 'COMPUTED' } = Object.freeze({
  BLOCKED: 'BLOCKED',
  COMPUTED: 'COMPUTED',
})

export type SpinlockState = (typeof SpinlockState)[keyof typeof SpinlockState]

/** Another holder's block on a key, as the store sees it now. */
export interface Blocked {
  readonly key: string
  /** Identifies this very hold: it grows with every hold of the key. */
  readonly fence: number
  /** How long the block has lasted, in milliseconds on the store's clock. */
  readonly heldMs: number
}

/** What a lock leaves in the store when it is computed. */
export interface SpinlockRecord {
  readonly state: 'COMPUTED'
  /** The tag of the lock that did the work. */
  readonly tag: string
  /** The fence under which the work was done. */
  readonly fence: number
  /** False if the lock was released without a result. */
  readonly hasValue: boolean
  /** What `run` returned; undefined without one. */
  readonly value: unknown
}
