// What a hold, or a store's reply, means for a caller that waits for the same key.

import type { Entry } from './entry.js'
import { isMismatch } from './payload.js'
import type { Policy } from './policy.js'
import type { ClaimReply, Wake } from './store.js'

/** The caller that an answer is for. */
export interface Asker {
  readonly policy: Policy
  readonly payload: string
}

export type SharedReply = Extract<ClaimReply, { state: 'record' | 'pass' | 'mismatch' }>

export function refuse(reason: 'in-flight' | 'settled' | 'mismatch', retryAfterMs: number): Entry {
  return { role: 'refused', reason, retryAfterMs }
}

/** The refusal for an `asker` that may not wait while the key is in use with `payload`; undefined if it may wait. */
export function refuseWhileBusy(asker: Asker, payload: string, retryAfterMs: number): Entry | undefined {
  if (isMismatch(asker.payload, payload)) return refuse('mismatch', retryAfterMs)
  return asker.policy.waits ? undefined : refuse('in-flight', retryAfterMs)
}

/**
 * What the reply to the claim `asked` means for `asker`; undefined if `asker` has to claim for itself. Without `asked`, the reply is
 * what a hold of this process left; callers with another payload were refused when that hold began.
 */
export function answerFor(
  asker: Asker,
  reply: SharedReply,
  asked: Pick<Asker, 'payload'> | undefined,
): Entry | undefined {
  if (reply.state === 'mismatch') return asker.payload === asked?.payload ? refuse('mismatch', 0) : undefined
  if (!asker.policy.takesRecord) return undefined
  if (reply.state === 'pass') return { role: 'pass' }
  // A claim without a payload is answered with any record, so the payload of that record is not known here.
  if (asked !== undefined && asker.payload !== '' && asker.payload !== asked.payload) {
    return asked.payload === '' ? undefined : refuse('mismatch', 0)
  }
  if (asker.policy.duplicates === 'reject') return refuse('settled', 0)
  const { record, ageMs, joined } = reply
  return { role: 'follower', record, ageMs, joined }
}

/** Turns a wake into the reply that a claim would have got. */
export function toReply(wake: Extract<Wake, { kind: 'record' | 'pass' }>): SharedReply {
  if (wake.kind === 'pass') return { state: 'pass' }
  return { state: 'record', record: wake.record, ageMs: 0, joined: true }
}
