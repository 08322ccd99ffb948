// Turns what redisStore is given as its connection into a client for the store.

import { isRedisUrl, optionError, redisUrlForm } from '@dspinlock/core/support'
import type { RedisOptions } from 'ioredis'
import { hasMethods, type StoreClient } from './clients/client.js'
import { connectIoredis, type IoredisClient, IoredisStoreClient, isIoredisClient } from './clients/ioredis.js'
import { isNodeRedisClient, type NodeRedisClient, NodeRedisStoreClient } from './clients/node-redis.js'
import { foreignOptionError, misplacedOptionError, wrongUrlError } from './messages.js'
import { storeOptionNames } from './options.js'

/** A client of ioredis or node-redis, as far as the store uses it. */
export type RedisClient = IoredisClient | NodeRedisClient

/**
 * `waitMs`: for how long a command may wait for replicas. `onTrouble` is called with the errors of a connection that is made here.
 * @throws TypeError for anything but a Redis URL, ioredis options, a client, or something with the methods of StoreClient.
 */
export function connectTo(given: unknown, waitMs: number, onTrouble: (error: unknown) => void): StoreClient {
  if (typeof given === 'string') return connectIoredis({ url: checkUrl(given) }, waitMs, onTrouble)
  if (typeof given === 'object' && given !== null) {
    if (isStoreClient(given)) return given
    if (isIoredisClient(given)) {
      checkNumbers(given.options)
      return new IoredisStoreClient(given, false)
    }
    if (isNodeRedisClient(given)) return new NodeRedisStoreClient(given)
    if (isPlainObject(given)) return connectIoredis({ options: checkOptions(given) }, waitMs, onTrouble)
  }
  throw optionError(
    'connection',
    given,
    'a Redis URL, ioredis options, a client of ioredis or node-redis, or what glideConnection makes',
  )
}

function isStoreClient(given: object): given is StoreClient {
  return hasMethods(given, ['send', 'sendAndWait', 'scan', 'listen', 'close'])
}

function isPlainObject(given: object): given is RedisOptions {
  return Object.getPrototypeOf(given) === Object.prototype
}

/** Options of RedisParameters and of other clients. ioredis would ignore them, and so connect to another server, or without TLS. */
const notOfIoredis = [
  'url',
  'ssl',
  'socket',
  'cluster',
  'nodes',
  'rootNodes',
  'addresses',
  'hostname',
  'database',
  'databaseId',
  'connectTimeoutMs',
  'sentinelName',
] as const

function checkOptions(options: RedisOptions): RedisOptions {
  // Options of the store would have no effect here, and so two services could share one prefix.
  const misplaced = storeOptionNames.find(name => name in options)
  if (misplaced !== undefined) throw misplacedOptionError(misplaced)
  const foreign = notOfIoredis.find(name => name in options)
  checkNumbers(options)
  checkPlace(options)
  if (foreign === undefined) return options
  throw foreignOptionError(foreign)
}

/** The script answers with numbers; as texts, they would be taken for answers of something else. */
function checkNumbers(options: IoredisClient['options']): void {
  if (options?.stringNumbers !== true && options?.redisOptions?.stringNumbers !== true) return
  throw optionError('connection', options, 'one of ioredis without the option stringNumbers')
}

/** A database that is no number, such as Number(undefined), would make ioredis throw an exception that nobody can catch. */
function checkPlace({ db, port }: RedisOptions): void {
  if (!isNumeric(db)) throw optionError('db', db, 'the number of a database')
  if (!isNumeric(port) || Number(port) > 65_535) throw optionError('port', port, 'the number of a port')
}

/** A number, digits (which ioredis takes, too, as they come from an environment), or left out. */
function isNumeric(given: unknown): boolean {
  if (given === undefined || given === null) return true
  return (typeof given === 'number' || typeof given === 'string') && /^\d+$/.test(`${given}`)
}

/** The URL may hold a password, so errors never repeat it. White space around it, as from a file, is removed. */
function checkUrl(given: string): string {
  const url = given.trim()
  if (!isRedisUrl(url)) throw wrongUrlError(redisUrlForm)
  const { protocol, pathname, searchParams } = new URL(url)
  const db = searchParams.get('db') ?? (protocol === 'unix:' ? '' : pathname.slice(1))
  if (!/^\d*\/?$/.test(db))
    throw wrongUrlError('a URL whose path is the number of a database, such as redis://localhost:6379/0')
  return url
}
