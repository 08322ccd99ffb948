// The connection a store works on: a user's client as it is, or one made here from a URL or options.

import { publishTrouble } from '@dspinlock/core'
import { optionError } from '@dspinlock/core/support'
import { Redis, type RedisOptions } from 'ioredis'

/** What the store needs of a client: ioredis 5 and 6 have it, `Redis` and `Cluster` both. */
export interface RedisClient {
  readonly isCluster?: boolean
  readonly status: string
  evalshaBuffer(sha: string, numberOfKeys: number, ...args: (string | Buffer | number)[]): Promise<unknown>
  evalBuffer(script: string, numberOfKeys: number, ...args: (string | Buffer | number)[]): Promise<unknown>
  scan(cursor: string, match: 'MATCH', pattern: string, count: 'COUNT', size: number): Promise<[string, string[]]>
  duplicate(...args: never[]): unknown
  on(event: string, listener: (...args: never[]) => void): unknown
}

/** A connection made here: the parts of ioredis that only its maker may use. */
export interface OwnClient extends RedisClient {
  readonly stream?: { ref?(): unknown; unref?(): unknown }
  readonly reconnectTimeout?: { unref?(): unknown }
  subscribe(channel: string): Promise<unknown>
  disconnect(): void
}

export interface Connection {
  readonly client: RedisClient
  /** The same client, if it was made here and has to be closed here. */
  readonly own: OwnClient | undefined
}

/** How long to wait before connecting again: soon at first, and never so long that locking stays away after Redis is back. */
export function retryDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 5), 1_000)
}

/**
 * Commands fail at once while there is no connection, instead of piling up: the store tries them again within its own
 * deadline, and a claim whose caller has long been told 503 must not be carried out when Redis comes back.
 */
export const ownDefaults: Readonly<Omit<RedisOptions, 'replyMapping'>> = {
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  connectTimeout: 2_000,
  retryStrategy: retryDelayMs,
}

/** @throws TypeError for anything but a Redis URL, ioredis options, or an ioredis client. */
export function connectTo(given: unknown): Connection {
  if (typeof given === 'string') {
    const own = makeOwn(new Redis(checkUrl(given), { ...ownDefaults } satisfies RedisOptions) as unknown as OwnClient)
    return { client: own, own }
  }
  if (isClient(given)) return { client: given, own: adopted.has(given) ? (given as OwnClient) : undefined }
  if (isPlainObject(given)) {
    // ioredis tells its constructors apart by these two, which do not change what this store reads.
    const options = { ...ownDefaults, ...given } as RedisOptions & { replyMapping?: 'legacy' }
    const own = makeOwn(new Redis(options) as unknown as OwnClient)
    return { client: own, own }
  }
  throw optionError('connection', given, 'a Redis URL, ioredis options, or an ioredis client (Redis or Cluster)')
}

const adopted = new WeakSet<object>()

/** Makes a client that this package made elsewhere one that its store closes, and that keeps no process alive. */
export function adopt(client: OwnClient): OwnClient {
  adopted.add(client)
  return makeOwn(client)
}

/** A second connection of the same kind, for listening. It outlives any outage. */
export function duplicateFor(client: RedisClient): OwnClient {
  const listening = { lazyConnect: false, enableOfflineQueue: true, maxRetriesPerRequest: null, autoResubscribe: false }
  const options = { ...listening, retryStrategy: retryDelayMs }
  const source = client as unknown as { duplicate(...args: unknown[]): unknown }
  // A Cluster's duplicate takes nodes first, and keeps its own way of connecting again.
  const own = client.isCluster === true ? source.duplicate() : source.duplicate(options)
  return makeOwn(own as OwnClient)
}

function makeOwn(client: OwnClient): OwnClient {
  let lastTold = 0
  client.on('error', (error: unknown) => {
    // A server that is away fails every attempt to connect; once a second is enough to know.
    const now = performance.now()
    if (now - lastTold < 1_000) return
    lastTold = now
    publishTrouble('redis', 'connect', error)
  })
  // Nothing here keeps a process alive that wants to exit: neither an idle connection nor the wait for the next attempt.
  client.on('connect', () => client.stream?.unref?.())
  client.on('reconnecting', () => client.reconnectTimeout?.unref?.())
  // A cluster's client is one for each node.
  client.on('+node', (node: OwnClient) => {
    node.stream?.unref?.()
    node.on('connect', () => node.stream?.unref?.())
  })
  return client
}

function isPlainObject(given: unknown): given is RedisOptions {
  return typeof given === 'object' && given !== null && Object.getPrototypeOf(given) === Object.prototype
}

function isClient(given: unknown): given is RedisClient {
  if (typeof given !== 'object' || given === null) return false
  const client = given as Partial<Record<keyof RedisClient, unknown>>
  return (['evalshaBuffer', 'evalBuffer', 'duplicate', 'on'] as const).every(name => typeof client[name] === 'function')
}

/** The URL may hold a password, so it is never repeated. */
function checkUrl(url: string): string {
  if (URL.canParse(url) && ['redis:', 'rediss:', 'unix:'].includes(new URL(url).protocol)) return url
  throw new TypeError(
    'dspinlock: the connection must be a URL that starts with redis://, rediss:// or unix://; what was received is none (not shown: it may hold a password)',
  )
}
