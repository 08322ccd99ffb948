// The lock for any value: its key is made from the value's hash.

import { randomUUID } from 'node:crypto'
import { DSpinlockBase } from './base.js'
import { packSpinlockRecord, unpackSpinlockRecord } from './record.js'
import type { SpinlockRecord } from './states.js'

/**
 * A lock on a value: a lock on an equal value, in any process on the same store, waits for it.
 *
 * ```ts
 * await new HashDSpinlock({ query: 'q1', page: 2 }, { redisParams: {} }).run(async ({ signal, fence }) => { … })
 * ```
 */
export class HashDSpinlock extends DSpinlockBase {
  /** Prefix, separator and the value's uid. The prefix does not contain the separator, so that a key can be read in one way only. */
  override getKey(): string {
    const { keyPrefix, keySeparator } = this.tunables
    return `${keyPrefix}${keySeparator}${this.uid}`
  }

  /** A random UUID. */
  override getTag(): string {
    return randomUUID()
  }

  /** JSON in UTF-8, extended for `undefined`, bigint, Date, Map, Set, URL, Buffer and Uint8Array. */
  override packRecord(record: SpinlockRecord): Uint8Array {
    return packSpinlockRecord(record)
  }

  override unpackRecord(record: Uint8Array): SpinlockRecord {
    return unpackSpinlockRecord(record)
  }
}
