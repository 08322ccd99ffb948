// What a hold or a store's reply says to a caller that waits for the same key.

import type { Entry } from './entry.js'
import { isMismatch } from './payload.js'
import type { Policy } from './policy.js'
import type { ClaimReply, Wake } from './store.js'

/** Whom an answer is for. */
export interface Asker {
  readonly policy: Policy
  readonly payload: string
}

export type SharedReply = Extract<ClaimReply, { state: 'record' | 'pass' | 'mismatch' }>

export function refuse(reason: 'in-flight' | 'settled' | 'mismatch', retryAfterMs: number): Entry {
  return { role: 'refused', reason, retryAfterMs }
}

/** Why `asker` is not to wait while the key is in use with `payload`; undefined: it may. */
export function refuseWhileBusy(asker: Asker, payload: string, retryAfterMs: number): Entry | undefined {
  if (isMismatch(asker.payload, payload)) return refuse('mismatch', retryAfterMs)
  return asker.policy.waits ? undefined : refuse('in-flight', retryAfterMs)
}

/**
 * What the reply to a claim that asked as `asked` means for `asker`; undefined: it has to ask for itself. Without `asked` the reply is
 * what a hold of this process left, and whoever may not have that was refused when the hold began.
 */
export function answerFor(
  asker: Asker,
  reply: SharedReply,
  asked: Pick<Asker, 'payload'> | undefined,
): Entry | undefined {
  if (reply.state === 'mismatch') return asker.payload === asked?.payload ? refuse('mismatch', 0) : undefined
  if (!asker.policy.takesRecord) return undefined
  if (reply.state === 'pass') return { role: 'pass' }
  // A claim without a payload is answered with any record, and what payload that was made for is not known here.
  if (asked !== undefined && asker.payload !== '' && asker.payload !== asked.payload) {
    return asked.payload === '' ? undefined : refuse('mismatch', 0)
  }
  if (asker.policy.duplicates === 'reject') return refuse('settled', 0)
  const { record, ageMs, joined } = reply
  return { role: 'follower', record, ageMs, joined }
}

/** A message that says the same as a claim's answer would. */
export function toReply(wake: Extract<Wake, { kind: 'record' | 'pass' }>): SharedReply {
  if (wake.kind === 'pass') return { state: 'pass' }
  return { state: 'record', record: wake.record, ageMs: 0, joined: true }
}
