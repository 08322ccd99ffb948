// What a lock asks of the engine to get its key, and what the answers mean in terms of its states.

import type { LockEngine } from '../engine.js'
import type { EnterOptions, Hold } from '../entry.js'
import { KeyExistsError } from '../errors.js'
import type { SpinlockRecord } from './states.js'
import type { Tunables } from './tunables.js'

export interface ClaimRules {
  readonly key: string
  readonly tunables: Tunables
  readonly expiryMs: number
  readonly failIfKeyExists: boolean
  readonly cachedIfComputed: boolean
  /** A mark without a result will not do. */
  readonly needsValue: boolean
  readonly signal: AbortSignal | undefined
  readonly unpack: (record: Uint8Array) => SpinlockRecord
}

/** How often a key that was computed without a value is dropped to get one with a value, before the work is done in any case. */
const MAX_ROUNDS = 4

/** Resolves to the hold, or to the record that was found in its place. Rejects as `LockEngine.enter`, and with a KeyExistsError. */
export async function claimKey(engine: LockEngine, rules: ClaimRules): Promise<Hold | SpinlockRecord> {
  const { key, tunables, expiryMs: ttlMs, failIfKeyExists, signal } = rules
  const { maxSpinlockTries, spinlockSleepMs, leaseMs, maxBlockMs: maxHoldMs } = tunables
  // After the last try there is nothing left to wait for.
  const deadline = performance.now() + (maxSpinlockTries - 1) * spinlockSleepMs
  let takesRecord = rules.cachedIfComputed
  for (let round = 1; ; round++) {
    const duplicates = failIfKeyExists ? 'reject' : takesRecord ? 'replay' : 'serialise'
    const wishes: EnterOptions = {
      duplicates,
      ttlMs,
      leaseMs,
      maxHoldMs,
      pollMs: spinlockSleepMs,
      waitMs: Math.max(0, Math.ceil(deadline - performance.now())),
      ...(duplicates === 'serialise' ? { leaveRecord: true } : {}),
      ...(signal === undefined ? {} : { signal }),
    }
    const entry = await engine.enter(key, wishes)
    if (entry.role === 'holder') return entry.hold
    if (entry.role === 'refused') throw new KeyExistsError(key, entry.reason === 'settled' ? 'COMPUTED' : 'BLOCKED')
    if (entry.role === 'follower') {
      const record = rules.unpack(entry.record)
      if (record.hasValue || !rules.needsValue) return record
      // A mark without a result gives `run` nothing to return: drop it, and let one of those who need a result make it.
      await engine.forget(key, record.fence)
    }
    // Under a pass mark nothing may run unlocked here. A turn ends it; who asks for an error in place of a wait gets no turn before.
    if (entry.role === 'pass' && failIfKeyExists) {
      const mark = await engine.inspect(key)
      if (mark?.state === 'pass') await engine.forget(key, mark.fence)
    }
    // A mark that does not go away must not be met for ever.
    if (entry.role === 'pass' || round >= MAX_ROUNDS) takesRecord = false
  }
}
