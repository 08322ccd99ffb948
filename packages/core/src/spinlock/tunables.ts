// Reads the options of a lock strictly, with the tunables among them, which a subclass may also set as attributes.

import { optionError, secretOptionError } from '../errors.js'
import type { Logger } from '../logger.js'
import {
  boolean,
  integer,
  isText,
  MAX_TIMER_MS,
  type OptionReader,
  option,
  optional,
  parseOptions,
  timerMs,
} from '../options.js'
import { MIN_LEASE_MS } from '../policy.js'
import type { Store } from '../store.js'
import { type RedisParameters, type RedisSettings, readRedisParameters } from './redis-parameters.js'

/** What a subclass may set as attributes, and every lock may be given as options; options come first. */
export interface Tunables {
  /** How many times to try; the first try is made at once. Default 10; with 1, a lock does not wait at all. */
  readonly maxSpinlockTries: number
  /** The time between two tries, in milliseconds. Default 500. A release wakes waiters sooner. */
  readonly spinlockSleepMs: number
  /** For how long a key stays computed after its work was done, in milliseconds. Default 3 600 000 (1 h). With 0, only waiters see it. */
  readonly expireAtMs: number
  /** After this time, a lock that is still held may be taken over, and its signal aborts; in milliseconds. Default 1 800 000 (30 min). */
  readonly maxBlockMs: number
  /**
   * For how long a hold counts unless renewed, in milliseconds: a crashed holder blocks its key for that long. Default 10 000, at least 10.
   * Renewed automatically.
   */
  readonly leaseMs: number
  /** Starts the key. Default `'dspinlock'`. */
  readonly keyPrefix: string
  /** Stands between the parts of the key. Default `','`. It must not occur in the prefix. */
  readonly keySeparator: string
}

export interface SpinlockOptions extends Partial<Tunables> {
  /** Where locks live. Give one of `store`, `redis`, `redisParams`; without any, locks live in the memory of this process. */
  readonly store?: Store
  /** A client of ioredis, or a connected one of node-redis, which stays yours. Needs the package `@dspinlock/redis`. */
  readonly redis?: object
  /** How to reach a Redis. All locks with equal parameters share one connection. Needs the package `@dspinlock/redis`. */
  readonly redisParams?: RedisParameters
  /** Acquiring a key that is blocked or computed fails at once with a KeyExistsError. Default false. */
  readonly failIfKeyExists?: boolean
  /** Acquiring a computed key does not block it: `run` returns the stored result. Default false: acquiring a computed key blocks it again. */
  readonly cachedIfComputed?: boolean
  /** Where to log what happens to this lock's key while it waits and holds. `console`, pino and winston loggers fit. */
  readonly logger?: Logger
}

const text = (fallback: string): OptionReader<string> => option(fallback, 'a string that is not empty', isText)

const tunableShape = {
  maxSpinlockTries: integer(10, 1),
  spinlockSleepMs: timerMs(500),
  expireAtMs: integer(3_600_000, 0, 1e15),
  maxBlockMs: timerMs(1_800_000),
  leaseMs: timerMs(10_000, MIN_LEASE_MS),
  keyPrefix: text('dspinlock'),
  keySeparator: text(','),
} as const

export const tunableNames: readonly (keyof Tunables)[] = Object.keys(tunableShape) as (keyof Tunables)[]

export const tunableDefaults: Tunables = parseOptions('DSpinlockBase', {}, tunableShape)

/**
 * @throws TypeError naming the tunable, what was received and what it takes.
 */
export function readTunables(where: string, given: Partial<Tunables>): Tunables {
  const tunables: Tunables = parseOptions(where, given, tunableShape)
  const { maxSpinlockTries, spinlockSleepMs, keyPrefix, keySeparator } = tunables
  if (maxSpinlockTries * spinlockSleepMs > MAX_TIMER_MS) {
    const most = `at most ${Math.floor(MAX_TIMER_MS / spinlockSleepMs)} with a spinlockSleepMs of ${spinlockSleepMs}`
    throw optionError('maxSpinlockTries', maxSpinlockTries, most)
  }
  if (keyPrefix.includes(keySeparator)) {
    const expected = `a string without the keySeparator ${JSON.stringify(keySeparator)}, so that no two keys are spelt alike`
    throw optionError('keyPrefix', keyPrefix, expected)
  }
  return tunables
}

const isObject = (given: unknown): given is object => typeof given === 'object' && given !== null

/** A rough check, because @dspinlock/redis checks the client itself. An object literal is options, and no client. */
const isClient = (given: unknown): given is object =>
  isObject(given) &&
  typeof (given as { duplicate?: unknown }).duplicate === 'function' &&
  Object.getPrototypeOf(given) !== Object.prototype

const isLogger = (given: unknown): given is Logger =>
  isObject(given) && typeof (given as Partial<Record<keyof Logger, unknown>>).debug === 'function'

/** Like `optional`, but the error does not repeat what was received, because a URL in this place may hold a password. */
function connection<T>(expected: string, accepts: (given: unknown) => given is T): OptionReader<T | undefined> {
  return (given, name) => {
    if (given === undefined || accepts(given)) return given
    throw secretOptionError(name, expected)
  }
}

const ownShape = {
  store: connection('a store, for example memoryStore()', (given): given is Store => isObject(given)),
  redis: connection('a client of ioredis or node-redis; a URL goes into redisParams: { url }', isClient),
  redisParams: readParameters,
  failIfKeyExists: boolean(false),
  cachedIfComputed: boolean(false),
  logger: optional('a logger with a method debug', isLogger),
} as const

/** Options after reading; `tunables` has only those that were given. */
export interface SpinlockSettings {
  readonly store: Store | undefined
  readonly redis: object | undefined
  readonly redisParams: RedisSettings | undefined
  readonly failIfKeyExists: boolean
  readonly cachedIfComputed: boolean
  readonly logger: Logger | undefined
  readonly tunables: Partial<Tunables>
}

/**
 * @throws TypeError for unknown or wrong options, for two connections, and for two options that contradict each other.
 */
export function readSpinlockOptions(where: string, options: SpinlockOptions | undefined): SpinlockSettings {
  const parsed = parseOptions(where, options, { ...ownShape, ...tunableShape })
  const [first, second] = (['store', 'redis', 'redisParams'] as const).filter(name => parsed[name] !== undefined)
  if (first !== undefined && second !== undefined) {
    throw secretOptionError(second, `left out with ${first}, because a lock has one connection`)
  }
  if (parsed.failIfKeyExists && parsed.cachedIfComputed) {
    throw optionError('cachedIfComputed', true, 'left out with failIfKeyExists, which makes a computed key an error')
  }
  const tunables = Object.fromEntries(
    tunableNames.filter(name => options?.[name] !== undefined).map(name => [name, parsed[name]]),
  ) as Partial<Tunables>
  const { store, redis, redisParams, failIfKeyExists, cachedIfComputed, logger } = parsed
  return Object.freeze({ store, redis, redisParams, failIfKeyExists, cachedIfComputed, logger, tunables })
}

function readParameters(given: unknown, name: string): RedisSettings | undefined {
  const read = connection('an object of RedisParameters, for example { host, port } or { url }', isObject)(given, name)
  return read === undefined ? undefined : readRedisParameters(read as RedisParameters)
}
