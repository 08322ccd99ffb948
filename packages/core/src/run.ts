// Runs any function under a key: enter, work, leave a record or none.

import { copyBytes, isBytes } from './bytes.js'
import type { EnterOptions, Entry } from './entry.js'
import { DuplicateError, hookError, optionError, RecordError } from './errors.js'
import { assertNames } from './options.js'
import { enterOptionNames } from './policy.js'
import { isPromise } from './when-answered.js'

/** What a task is given. */
export interface TaskContext {
  readonly key: string
  /** The hold's fence; undefined when the task runs without a hold, under a pass mark. */
  readonly fence: number | undefined
  /** Aborts when the hold is lost; stop writing then. */
  readonly signal: AbortSignal
}

export type Task<T> = (context: TaskContext) => T | PromiseLike<T>

/** Turns results into records, and records into results. */
export interface Codec<T> {
  /** The record is a copy of the bytes that it returns. */
  encode(result: T): Uint8Array
  /** `record` is a Buffer that is used for this call only. */
  decode(record: Uint8Array): T
}

export interface RunOptions<T> extends EnterOptions {
  /**
   * Turns results into records, and records into results. Default: JSON, with undefined kept as undefined. Only used under `'replay'`, and
   * with `leaveRecord`.
   */
  readonly codec?: Codec<T>
}

const optionNames: readonly string[] = [...enterOptionNames, 'codec']

/** What running needs of an engine. */
interface Enters {
  enter(key: string, options?: EnterOptions): Promise<Entry>
}

export async function runTask<T>(engine: Enters, key: string, task: Task<T>, options: RunOptions<T> = {}): Promise<T> {
  if (typeof task !== 'function') throw optionError('task', task, 'a function')
  assertNames('run', options, optionNames)
  const { codec = jsonCodec as Codec<T>, ...enterOptions } = options
  if (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function') {
    throw optionError('codec', codec, 'an object with encode(result) and decode(record)')
  }
  const entry = await engine.enter(key, enterOptions)
  if (entry.role === 'refused') throw new DuplicateError(key, entry.reason, entry.retryAfterMs)
  if (entry.role === 'follower') {
    if (Buffer.compare(entry.record, notKept) === 0) throw new DuplicateError(key, 'settled', 0)
    return decode(codec, key, entry.record)
  }
  if (entry.role === 'pass') return task({ key, fence: undefined, signal: new AbortController().signal })

  const { hold } = entry
  const { duplicates, leaveRecord } = enterOptions
  let result: T
  let record = notKept
  try {
    result = await task({
      key,
      fence: hold.fence,
      get signal() {
        return hold.signal
      },
    })
    // Under 'reject' nobody is given the result, so it is not encoded, and need not be something that can be.
    if (duplicates === 'replay' || leaveRecord) record = encode(codec, key, result)
  } catch (error) {
    await hold[Symbol.asyncDispose]()
    throw error
  }
  try {
    // Awaited only if there is something to wait for: a store in the same process answers at once.
    const ended = hold.settle(record)
    if (isPromise(ended)) await ended
  } catch {
    // The work is done, and the caller gets its result; the store's failure was published where it happened.
  }
  return result
}

/** The record of work whose result was not kept: a byte that no UTF-8 has, and `done`, so that it is no record of a codec. */
const notKept: Uint8Array = Uint8Array.of(255, 100, 111, 110, 101)

function encode<T>(codec: Codec<T>, key: string, result: T): Uint8Array {
  try {
    const bytes: unknown = codec.encode(result)
    if (!isBytes(bytes)) throw hookError('codec.encode', bytes, 'a Uint8Array')
    return codec === jsonCodec ? bytes : copyBytes(bytes)
  } catch (error) {
    throw new RecordError(key, 'encode', error)
  }
}

function decode<T>(codec: Codec<T>, key: string, record: Uint8Array): T {
  try {
    return codec.decode(codec === jsonCodec ? record : copyBytes(record))
  } catch (error) {
    throw new RecordError(key, 'decode', error)
  }
}

/** Makes new bytes, and only reads those that it is given, so nothing has to be copied for it. */
const jsonCodec: Codec<unknown> = {
  encode(result) {
    if (result === undefined) return new Uint8Array()
    const text = JSON.stringify(result)
    if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof result}`)
    return new TextEncoder().encode(text)
  },
  decode(record) {
    return record.byteLength === 0 ? undefined : JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(record))
  },
}
