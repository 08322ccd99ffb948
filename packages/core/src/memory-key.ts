// What the memory store knows of one key while somebody holds it, waits for it, or it is marked; its record is kept apart.

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
  /** The holder's token, '' if nobody holds. It stays after the lease ran out, until somebody claims. */
  token = ''
  leaseEndsAt = 0
  heldSince = 0
  fence = 0
  payload = ''
  /** Turns in a row that the holder's process gave to itself while others waited. */
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

  /** Nothing is left but a record that it may have. */
  isIdle(now: number): boolean {
    return this.token === '' && this.waiters.length === 0 && this.passUntil <= now
  }

  /** Never less than was promised before: the holder counts on that until it is told otherwise. */
  extend(leaseEndsAt: number): void {
    this.leaseEndsAt = Math.max(this.leaseEndsAt, leaseEndsAt)
  }

  /** Puts it behind those who arrived before it. */
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
  const held = entry?.isHeld(now) === true ? entry : undefined
  const [fence = 0, settledAt = 0, , visibleUntil = 0] = kept?.numbers ?? []
  const record = visibleUntil > now ? kept : undefined
  const passLeftMs = Math.max(0, (entry?.passUntil ?? 0) - now)
  return {
    key,
    state: held !== undefined ? 'held' : record !== undefined ? 'settled' : passLeftMs > 0 ? 'pass' : 'free',
    fence: entry?.fence ?? fence,
    heldMs: held === undefined ? 0 : now - held.heldSince,
    leaseLeftMs: held === undefined ? 0 : held.leaseEndsAt - now,
    recordBytes: record?.bytes.length ?? 0,
    ageMs: record === undefined ? 0 : now - settledAt,
    ttlLeftMs: record === undefined ? passLeftMs : visibleUntil - now,
    waiters: entry?.waiters.length ?? 0,
  }
}
