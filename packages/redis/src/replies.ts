// What the scripts answer, read strictly.

import type { ClaimReply, KeyState } from '@dspinlock/core'

export function isReply(reply: unknown): reply is readonly unknown[] {
  return Array.isArray(reply) && reply.length > 0
}

/** `sentAt`: `performance.now()` before the claim was sent. Undefined for anything that the claim script does not answer. */
export function parseClaim(reply: unknown, sentAt: number): ClaimReply | undefined {
  if (!isReply(reply)) return undefined
  const number = (at: number): number => Number(String(reply[at]))
  switch (String(reply[0])) {
    case 'h':
      return { state: 'held', fence: number(1) }
    case 'b':
      // The server read its clock after the claim was sent, so at `sentAt` it showed no more than that.
      return { state: 'busy', leaseLeftMs: number(1), arrival: number(2), clockAheadMs: number(3) - sentAt }
    case 'r': {
      const record = reply[1]
      if (!Buffer.isBuffer(record)) return undefined
      return { state: 'record', record, ageMs: number(2), joined: number(3) === 1 }
    }
    case 'p':
      return { state: 'pass' }
    case 'm':
      return { state: 'mismatch', inFlight: number(1) === 1 }
    default:
      return undefined
  }
}

/** For how long newcomers are given the record that a claim was answered with, in milliseconds; 0 if not at all. */
export function readTtlLeft(reply: unknown): number {
  return isReply(reply) && String(reply[0]) === 'r' ? Math.max(0, Number(String(reply[4])) || 0) : 0
}

export function hasForeignMark(reply: unknown): boolean {
  return isReply(reply) && String(reply.at(-1)) === 'foreign'
}

export function parseState(key: string, reply: unknown): KeyState | undefined {
  if (!isReply(reply) || reply.length !== 8) return undefined
  const numbers = reply.map(item => Number(String(item))) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  const [fence, heldMs, leaseLeftMs, recordBytes, ageMs, ttlMs, passMs, waiters] = numbers
  const state = leaseLeftMs > 0 ? 'held' : ttlMs > 0 ? 'settled' : passMs > 0 ? 'pass' : 'free'
  return { key, state, fence, heldMs, leaseLeftMs, recordBytes, ageMs, ttlLeftMs: ttlMs > 0 ? ttlMs : passMs, waiters }
}
