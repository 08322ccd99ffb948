// Reads the script's replies strictly.

import type { ClaimReply, KeyState } from '@dspinlock/core'
import { BUSY, HELD, MISMATCH, PASS, RECORD } from './scripts/answers.js'

function isReply(reply: unknown): reply is readonly unknown[] {
  return Array.isArray(reply) && reply.length > 0
}

/** `sentAt` is `performance.now()` before the claim was sent. Undefined for anything that is no reply to a claim. */
export function parseClaim(reply: unknown, sentAt: number): ClaimReply | undefined {
  if (typeof reply === 'number' && reply > 1) return { state: 'held', fence: reply }
  if (!isReply(reply)) return undefined
  const [kind, first, second, third] = reply
  switch (kind) {
    case HELD:
      return { state: 'held', fence: Number(first) }
    case BUSY:
      // The server read its clock after the claim was sent, so at `sentAt` the clock showed this time at most.
      return {
        state: 'busy',
        leaseLeftMs: Number(first),
        arrival: Number(second),
        clockAheadMs: Number(third) - sentAt,
      }
    case RECORD:
      if (!Buffer.isBuffer(first)) return undefined
      return { state: 'record', record: first.subarray(Number(reply[5])), ageMs: Number(second), joined: third === 1 }
    case PASS:
      return { state: 'pass' }
    case MISMATCH:
      return { state: 'mismatch', inFlight: first === 1 }
    default:
      return undefined
  }
}

/** For how long newcomers are given the record that a claim was answered with, in milliseconds; 0 if not at all. */
export function readTtlLeft(reply: unknown): number {
  return isReply(reply) && reply[0] === RECORD ? Math.max(0, Number(reply[4]) || 0) : 0
}

/** Whether the claim was answered with the remark that its process does not listen to the server that answered. */
export function isUnheard(reply: unknown): boolean {
  return isReply(reply) && reply[0] === BUSY && reply[4] === 1
}

export function hasForeignMark(reply: unknown): boolean {
  return isReply(reply) && String(reply.at(-1)) === 'foreign'
}

export function parseState(key: string, reply: unknown): KeyState | undefined {
  if (!isReply(reply) || reply.length !== 8) return undefined
  const numbers = reply.map(Number) as [number, number, number, number, number, number, number, number]
  const [fence, heldMs, leaseLeftMs, recordBytes, ageMs, ttlMs, passMs, waiters] = numbers
  const state = leaseLeftMs > 0 ? 'held' : ttlMs > 0 ? 'settled' : passMs > 0 ? 'pass' : 'free'
  return { key, state, fence, heldMs, leaseLeftMs, recordBytes, ageMs, ttlLeftMs: ttlMs > 0 ? ttlMs : passMs, waiters }
}
