// Packs the record that a computed lock leaves, and unpacks it strictly.

import type { SpinlockRecord } from './states.js'
import { readTyped, writeTyped } from './typed-json.js'

/** Changes with the format, so that records of another version are recognised. */
const FORMAT = 1

/** @throws TypeError naming the path of a part of the value that a record cannot hold. */
export function packSpinlockRecord({ state, tag, fence, hasValue, value }: SpinlockRecord): Uint8Array {
  // JSON escapes lone surrogates, so that UTF-8 loses none.
  return new TextEncoder().encode(writeTyped({ format: FORMAT, state, tag, fence, ...(hasValue ? { value } : {}) }))
}

/** @throws TypeError or SyntaxError for anything that `packSpinlockRecord` does not write. */
export function unpackSpinlockRecord(record: Uint8Array): SpinlockRecord {
  const read = readTyped(new TextDecoder('utf-8', { fatal: true }).decode(record)) as Partial<SpinlockRecord> & {
    readonly format?: unknown
  }
  if (typeof read !== 'object' || read === null || read.format !== FORMAT) {
    throw new TypeError(`it is not a record of format ${FORMAT}`)
  }
  const hasValue = Object.hasOwn(read, 'value')
  return checkRecord({ state: read.state, tag: read.tag, fence: read.fence, hasValue, value: read.value })
}

/** @throws TypeError unless `given` is a SpinlockRecord; overridden hooks may return anything. */
export function checkRecord(given: unknown): SpinlockRecord {
  const { state, tag, fence, hasValue } = (given ?? {}) as Partial<SpinlockRecord>
  if (state !== 'COMPUTED') throw new TypeError(`its state is ${JSON.stringify(state)}, and only COMPUTED is stored`)
  if (typeof tag !== 'string' || typeof fence !== 'number' || typeof hasValue !== 'boolean') {
    throw new TypeError('it lacks tag, fence or hasValue')
  }
  return given as SpinlockRecord
}
