// Makes clients from plain parameters: one for the user to reuse, and one of our own for the locks that share it.

import { publishTrouble, type RedisParameters, type Store, StoreNotInitialisedError } from '@dspinlock/core'
import { type RedisSettings, readRedisParameters } from '@dspinlock/core/support'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { adoptIoredis, keepToDatabase, ownDefaults, retryDelayMs } from './clients/ioredis.js'
import { isOffline, withoutArguments } from './failures.js'
import { noConnectionMessage } from './messages.js'
import { redisStore } from './redis-store.js'

/**
 * Resolves to a connected client, to use and to share: give it to `redisStore`, or to locks as their option `redis`, and close
 * it with `quit()` at the end. Without parameters it is connected to localhost:6379, database 0. It has no `socketTimeout`, because
 * commands of yours may block.
 *
 * Rejects with a StoreNotInitialisedError whose `cause` says why, if there is no connection within `connectTimeoutMs`.
 * @throws TypeError (as a rejection) for wrong parameters.
 */
export async function createRedisConnection(parameters?: RedisParameters): Promise<Redis | Cluster> {
  const settings = readRedisParameters(parameters)
  const client = makeClient(settings, {})
  const { connectTimeoutMs } = settings
  keepToDatabase(client)
  let lastError: unknown
  client.on('error', (error: unknown) => {
    if (lastError === undefined || !isOffline(error)) lastError = withoutArguments(error)
    publishTrouble('redis', 'connect', error)
  })
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      client.disconnect()
      const why = noConnectionMessage(connectTimeoutMs, describe(settings))
      reject(new StoreNotInitialisedError(undefined, why, lastError))
    }, connectTimeoutMs)
    client.once('ready', () => {
      clearTimeout(timer)
      resolve()
    })
  })
  return client
}

/** The store that locks with equal parameters share, with a client of its own. For @dspinlock/core. */
export function parameterStore(settings: RedisSettings): Store {
  return redisStore(
    adoptIoredis(makeClient(settings, ownDefaults()), error =>
      publishTrouble('redis', 'connect', withoutArguments(error)),
    ),
  )
}

/** Without `replyMapping`, by which ioredis tells its constructors apart, and which is not set here. */
type ClientOptions = Omit<RedisOptions, 'replyMapping'>

function makeClient(settings: RedisSettings, defaults: ClientOptions): Redis | Cluster {
  const { target, db, ssl, connectTimeoutMs, username, password, tls } = settings
  const { sentinelName, sentinelUsername, sentinelPassword } = settings
  const options: ClientOptions = {
    ...defaults,
    retryStrategy: retryDelayMs,
    connectTimeout: connectTimeoutMs,
    db,
    ...(ssl ? { tls: { ...tls } } : {}),
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  }
  switch (target.kind) {
    case 'host':
      return new Redis({ ...options, host: target.host, port: target.port })
    case 'path':
      return new Redis({ ...options, path: target.path })
    case 'sentinels':
      return new Redis({
        ...options,
        sentinels: target.nodes.map(node => ({ ...node })),
        name: sentinelName,
        sentinelRetryStrategy: retryDelayMs,
        ...(ssl ? { enableTLSForSentinelMode: true, sentinelTLS: { ...tls } } : {}),
        ...(sentinelUsername === undefined ? {} : { sentinelUsername }),
        ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
      })
    case 'cluster': {
      // ioredis refuses these among the options of nodes, because the cluster decides them itself.
      const {
        retryStrategy: _retry,
        reconnectOnError: _reconnect,
        enableOfflineQueue,
        db: _db,
        ...redisOptions
      } = options
      return new Cluster(
        target.nodes.map(node => ({ ...node })),
        {
          clusterRetryStrategy: retryDelayMs,
          slotsRefreshTimeout: connectTimeoutMs,
          ...(enableOfflineQueue === undefined ? {} : { enableOfflineQueue }),
          redisOptions,
        },
      )
    }
  }
}

/** Without user name and password. */
function describe({ target }: RedisSettings): string {
  if (target.kind === 'host') return `${target.host}:${target.port}`
  if (target.kind === 'path') return target.path
  return `the ${target.kind} ${target.nodes.map(node => `${node.host}:${node.port}`).join(', ')}`
}
