// Connects to the Redis that the command line names, and disconnects again.

import { DspinlockError, type RedisParameters, type Store } from '@dspinlock/core'
import { isRedisUrl } from '@dspinlock/core/support'
import { createRedisConnection, redisStore } from '@dspinlock/redis'
import { withRemedy } from '@dspinlock/redis/support'
import type { Cluster, Redis } from 'ioredis'
import { failures } from './messages.js'

/** The options that every command takes. */
export interface ConnectionOptions {
  readonly url?: string
  readonly cluster?: RedisParameters['cluster']
  readonly sentinels?: RedisParameters['sentinels']
  readonly sentinelName?: string
  readonly tls?: boolean
  readonly prefix: string
  readonly timeout: number
}

export interface Connection {
  readonly client: Redis | Cluster
  readonly store: Store
  close(): void
}

/** Connects, does `work`, and closes. @throws Failure if Redis cannot be reached or refuses. */
export async function withRedis<T>(
  options: ConnectionOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  let connection: Connection | undefined
  try {
    connection = await connect(options)
    return await work(connection)
  } catch (error) {
    throw error instanceof DspinlockError ? failures.unreachable(explain(error), error) : error
  } finally {
    connection?.close()
  }
}

async function connect(options: ConnectionOptions): Promise<Connection> {
  const client = await createRedisConnection(readParameters(options))
  const store = redisStore(client, { prefix: options.prefix, commandTimeoutMs: options.timeout })
  return {
    client,
    store,
    close: () => {
      void store.close()
      client.disconnect()
    },
  }
}

/** Secrets come from the environment, because everybody on the machine can read the arguments of a command. */
function readParameters(options: ConnectionOptions): RedisParameters {
  const { url, cluster, sentinels, sentinelName, tls, timeout } = options
  const { REDIS_USERNAME, REDIS_PASSWORD, REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD } = process.env
  const isByUrl = cluster === undefined && sentinels === undefined && url !== undefined
  // What the URL says of the login is for its server, and the environment may be that of everything on this machine.
  const said = isByUrl && isRedisUrl(url) ? new URL(url) : { username: '', password: '' }
  const login = {
    ...(REDIS_USERNAME === undefined || said.username !== '' || said.password !== ''
      ? {}
      : { username: REDIS_USERNAME }),
    ...(REDIS_PASSWORD === undefined || said.password !== '' ? {} : { password: REDIS_PASSWORD }),
    ...(tls === true ? { ssl: true } : {}),
    connectTimeoutMs: timeout,
  }
  if (cluster !== undefined) return { ...login, cluster }
  if (sentinels !== undefined) {
    return {
      ...login,
      sentinels,
      ...(sentinelName === undefined ? {} : { sentinelName }),
      ...(REDIS_SENTINEL_USERNAME === undefined ? {} : { sentinelUsername: REDIS_SENTINEL_USERNAME }),
      ...(REDIS_SENTINEL_PASSWORD === undefined ? {} : { sentinelPassword: REDIS_SENTINEL_PASSWORD }),
    }
  }
  return url === undefined ? login : { ...login, url }
}

/** The error's message, with that of its cause: the store's error names the command, the connection's says why it failed. */
function explain(error: Error): string {
  const { cause } = error
  if (!(cause instanceof Error) || error.message.includes(cause.message)) return error.message
  const told = withRemedy(cause)
  return `${error.message} (${told instanceof Error ? told.message : cause.message})`
}
