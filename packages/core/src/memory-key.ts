// What the memory store knows about one key while it is held, waited for or marked; its record is kept apart.

import type { StoredRecord } from './memory-records.js'
import type { KeyState } from './store.js'

export interface StoredWaiter {
  readonly token: string
  readonly takeRecord: boolean
  readonly payload: string
  readonly arrival: number
}

export class StoredKey {
  readonly key: string
  /** The holder's token, '' if nobody holds the key. It stays after the lease ran out, until the next claim. */
  token = ''
  leaseEndsAt = 0
  heldSince = 0
  fence = 0
  payload = ''
  /** How many turns in a row the holder's process gave to itself while others waited. */
  localTurns = 0
  passUntil = 0
  /** In order of arrival. */
  readonly waiters: StoredWaiter[] = []

  constructor(key: string) {
    this.key = key
  }

  isHeld(now: number): boolean {
    return this.token !== '' && this.leaseEndsAt > now
  }

  /** Whether nothing is left, except perhaps a record. Where nobody holds, nobody waits. */
  isIdle(now: number): boolean {
    return this.token === '' && this.passUntil <= now
  }

  /** Extends the lease, and never shortens it, because the holder relies on what it was promised before. */
  extend(leaseEndsAt: number): void {
    this.leaseEndsAt = Math.max(this.leaseEndsAt, leaseEndsAt)
  }

  /** Adds a waiter behind those that arrived before it. */
  addWaiter(waiter: StoredWaiter): void {
    this.waiters.push(waiter)
    this.waiters.sort((one, other) => one.arrival - other.arrival)
  }

  removeWaiter(token: string): void {
    const at = this.waiters.findIndex(waiter => waiter.token === token)
    if (at >= 0) this.waiters.splice(at, 1)
  }
}

export function describeKey(
  key: string,
  entry: StoredKey | undefined,
  kept: StoredRecord | undefined,
  now: number,
): KeyState {
  const isHeld = entry?.isHeld(now) === true
  const [fence = 0, settledAt = 0, , visibleUntil = 0] = kept?.numbers ?? []
  const record = visibleUntil > now ? kept : undefined
  const passLeftMs = Math.max(0, (entry?.passUntil ?? 0) - now)
  return {
    key,
    state: isHeld ? 'held' : record !== undefined ? 'settled' : passLeftMs > 0 ? 'pass' : 'free',
    fence: entry?.fence ?? fence,
    heldMs: isHeld ? now - entry.heldSince : 0,
    leaseLeftMs: isHeld ? entry.leaseEndsAt - now : 0,
    recordBytes: record?.bytes.length ?? 0,
    ageMs: record === undefined ? 0 : now - settledAt,
    ttlLeftMs: record === undefined ? passLeftMs : visibleUntil - now,
    waiters: entry?.waiters.length ?? 0,
  }
}
