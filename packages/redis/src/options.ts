// The options of redisStore, read once.

import { integer, option, optionError, parseOptions, timerMs } from '@dspinlock/core/support'
import { type LocalCacheOptions, readLocalCache } from './local-cache.js'

export interface RedisStoreOptions {
  /** Starts the name of every key and channel. Default `'dspinlock'`. No spaces, and no braces, because these determine cluster slots. */
  readonly prefix?: string
  /**
   * How long an operation may take at most, with all its tries, in milliseconds. Default 2 000. A record that could not be stored by then is tried
   * for another minute.
   */
  readonly commandTimeoutMs?: number
  /**
   * How long a waiter that was handed the key has to renew it before it goes to the next, in milliseconds. Default 900. If that
   * waiter has died and Redis cannot tell that nobody listens, the others wait for this long.
   */
  readonly grantMs?: number
  /** Records up to this many bytes travel in the message that wakes a waiter; larger ones are fetched. Default 16 384. */
  readonly maxWakeRecordBytes?: number
  /**
   * How many replicas must have a claim or a renewal before it counts (WAIT). Default 0: a failover may lose a hold,
   * and then two may run. A claim that fewer acknowledge within `replicasTimeoutMs` is released and fails with a StoreError.
   * The connection does nothing else while it waits for them, so give the store one of its own.
   */
  readonly minReplicas?: number
  /** How long to wait for replicas, in milliseconds. Default 500; shorter than `commandTimeoutMs`. */
  readonly replicasTimeoutMs?: number
  /**
   * Keeps the records that this process has seen in its memory, so that replaying them costs no command. `forget` drops them in all
   * processes; see docs/local-cache.md for what is promised. Default: none. Not with GLIDE.
   */
  readonly localCache?: LocalCacheOptions
}

const isPrefix = (given: unknown): given is string => typeof given === 'string' && /^[^{}\s]+$/.test(given)

const shape = {
  prefix: option('dspinlock', 'a string without spaces and braces', isPrefix),
  commandTimeoutMs: timerMs(2_000),
  grantMs: timerMs(900),
  maxWakeRecordBytes: integer(16_384, 0),
  minReplicas: integer(0, 0, 100),
  replicasTimeoutMs: timerMs(500),
  localCache: readLocalCache,
} as const

/** The options after reading, with all defaults filled in. */
export interface RedisStoreSettings extends Required<Omit<RedisStoreOptions, 'localCache'>> {
  readonly localCache: LocalCacheOptions | undefined
}

/** Used for messages about options in the wrong place. */
export const storeOptionNames: readonly string[] = Object.keys(shape)

/** @throws TypeError naming option and value for anything unknown or wrong. */
export function readStoreOptions(options: RedisStoreOptions | undefined): RedisStoreSettings {
  const parsed = parseOptions('redisStore', options, shape)
  const { minReplicas, replicasTimeoutMs, commandTimeoutMs } = parsed
  if (minReplicas > 0 && replicasTimeoutMs >= commandTimeoutMs) {
    throw optionError('replicasTimeoutMs', replicasTimeoutMs, `less than commandTimeoutMs (${commandTimeoutMs})`)
  }
  return parsed
}
