// What the memory store knows of one key.

import type { KeyState } from './store.js'

export interface StoredWaiter {
  readonly token: string
  readonly takeRecord: boolean
  readonly payload: string
  readonly arrival: number
}

export interface StoredRecord {
  readonly bytes: Uint8Array
  readonly payload: string
  readonly settledAt: number
  /** On the scale of fences and arrivals: who arrived before was waiting for it. */
  readonly settledTick: number
  visibleUntil: number
  readonly retainedUntil: number
}

export class StoredKey {
  /** The holder's token, '' if nobody holds. It stays after the lease ran out, until somebody claims. */
  token = ''
  leaseEndsAt = 0
  heldSince = 0
  fence = 0
  payload = ''
  /** Turns in a row that the holder's process gave to itself while others waited. */
  localTurns = 0
  passUntil = 0
  record: StoredRecord | undefined = undefined
  /** In order of arrival. */
  readonly waiters: StoredWaiter[] = []

  isHeld(now: number): boolean {
    return this.token !== '' && this.leaseEndsAt > now
  }

  /** Nothing is left that anybody could ask for. */
  isIdle(now: number): boolean {
    if (this.token !== '' || this.waiters.length > 0 || this.passUntil > now) return false
    return this.record === undefined || Math.max(this.record.visibleUntil, this.record.retainedUntil) <= now
  }

  /** Never less than was promised before: the holder counts on that until it is told otherwise. */
  extend(leaseEndsAt: number): void {
    this.leaseEndsAt = Math.max(this.leaseEndsAt, leaseEndsAt)
  }

  /** Puts it behind those who arrived before it. */
  addWaiter(waiter: StoredWaiter): void {
    const behind = this.waiters.findIndex(other => other.arrival > waiter.arrival)
    this.waiters.splice(behind < 0 ? this.waiters.length : behind, 0, waiter)
  }

  removeWaiter(token: string): void {
    const at = this.waiters.findIndex(waiter => waiter.token === token)
    if (at >= 0) this.waiters.splice(at, 1)
  }

  describe(key: string, now: number): KeyState {
    const held = this.isHeld(now)
    const record = this.record !== undefined && this.record.visibleUntil > now ? this.record : undefined
    const passes = this.passUntil > now
    return {
      key,
      state: held ? 'held' : record !== undefined ? 'settled' : passes ? 'pass' : 'free',
      fence: this.fence,
      heldMs: held ? now - this.heldSince : 0,
      leaseLeftMs: held ? this.leaseEndsAt - now : 0,
      recordBytes: record?.bytes.byteLength ?? 0,
      ageMs: record === undefined ? 0 : now - record.settledAt,
      ttlLeftMs: record !== undefined ? record.visibleUntil - now : passes ? this.passUntil - now : 0,
      waiters: this.waiters.length,
    }
  }
}
