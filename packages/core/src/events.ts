// What the library reports about itself, on diagnostics channels; nothing is published unless somebody listens.

import { type Channel, channel } from 'node:diagnostics_channel'

/** Something went wrong of which no caller was told, or a caller was told in other words. */
export interface TroubleEvent {
  /** The part where it happened, for example `memory`, `redis`, `http`. */
  readonly source: string
  /** What was being done, for example `settle`, `subscribe`, `decode`. */
  readonly operation: string
  /** The key that the operation was for, if it was for one. */
  readonly key: string | undefined
  readonly error: unknown
}

/** A hold ended before its holder ended it. */
export interface LostEvent {
  readonly key: string
  readonly fence: number
  /** A LeaseLostError or a HoldTimeoutError; also the reason of the hold's signal. */
  readonly reason: Error
}

/** A call of `enter` was answered. */
export interface EnterEvent {
  readonly key: string
  /** `failed`: it was rejected, with `error`. */
  readonly role: 'holder' | 'follower' | 'pass' | 'refused' | 'failed'
  /** Why it was refused; undefined for every other role. */
  readonly reason: 'in-flight' | 'settled' | 'mismatch' | undefined
  /** From the call to the answer, in milliseconds. */
  readonly waitedMs: number
  readonly error: unknown
}

/** A holder ended its hold. */
export interface EndEvent {
  readonly key: string
  readonly fence: number
  /**
   * `settled` with a record, `released` without one, `lost` if the holder had lost it before, `failed` if the store did not answer: then
   * the lease runs out by itself.
   */
  readonly how: 'settled' | 'released' | 'lost' | 'failed'
  readonly heldMs: number
  /** Size of the record in bytes, 0 without one. */
  readonly recordBytes: number
}

/** A hold was taken away, or a record dropped, by somebody who asked for that. */
export interface ForgetEvent {
  readonly key: string
  /** The fence of the hold, or of the hold that left the record. */
  readonly fence: number
}

/**
 * The channels and what they carry. Names: `dspinlock:trouble`, `dspinlock:lost`, `dspinlock:enter`, `dspinlock:end`,
 * `dspinlock:forget`.
 */
export const channels: {
  readonly trouble: Channel<unknown, TroubleEvent>
  readonly lost: Channel<unknown, LostEvent>
  readonly enter: Channel<unknown, EnterEvent>
  readonly end: Channel<unknown, EndEvent>
  readonly forget: Channel<unknown, ForgetEvent>
} = Object.freeze({
  trouble: channel('dspinlock:trouble') as Channel<unknown, TroubleEvent>,
  lost: channel('dspinlock:lost') as Channel<unknown, LostEvent>,
  enter: channel('dspinlock:enter') as Channel<unknown, EnterEvent>,
  end: channel('dspinlock:end') as Channel<unknown, EndEvent>,
  forget: channel('dspinlock:forget') as Channel<unknown, ForgetEvent>,
})

export function publishTrouble(source: string, operation: string, error: unknown, key?: string): void {
  if (channels.trouble.hasSubscribers) channels.trouble.publish({ source, operation, key, error })
}
