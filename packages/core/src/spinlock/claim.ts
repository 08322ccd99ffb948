// How a lock asks the engine for its key, and what the answers mean in terms of the lock's states.

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
  /** Whether a mark without a result is not enough. */
  readonly needsValue: boolean
  readonly signal: AbortSignal | undefined
  readonly unpack: (record: Uint8Array) => SpinlockRecord
}

/** How many times a mark without a result is dropped to get one with a result, before the work is done in any case. */
const MAX_ROUNDS = 4

/** Resolves to the hold, or to the record that was found in its place. Rejects as `LockEngine.enter` does, and with a KeyExistsError. */
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
      // With a mark without a result, `run` has nothing to return: drop the mark, and let one of the locks that need a result make it.
      await engine.forget(key, record.fence)
    }
    // Nothing may run unlocked here under a pass mark. A turn ends the mark, but with failIfKeyExists there is no turn before it has ended.
    if (entry.role === 'pass' && failIfKeyExists) {
      const mark = await engine.inspect(key)
      if (mark?.state === 'pass') await engine.forget(key, mark.fence)
    }
    // If a mark does not go away, this must not go round for ever.
    if (entry.role === 'pass' || round >= MAX_ROUNDS) takesRecord = false
  }
}
