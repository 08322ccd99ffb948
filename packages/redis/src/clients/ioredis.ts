// ioredis 5 and 6: `Redis` (also through Sentinels) and `Cluster`.

import { setTimeout as delay } from 'node:timers/promises'
import { type Cluster, Redis, type RedisOptions } from 'ioredis'
import { hasMoved, takesNoWrites } from '../failures.js'
import { asPattern } from '../keys.js'
import { closedError, cutOffError, noNodeError } from '../messages.js'
import {
  type ChannelListener,
  type CommandPart,
  hasMethods,
  type ListeningConnection,
  type StoreClient,
  scanWith,
} from './client.js'
import { HEARTBEAT_MS, SILENCE_MS } from './liveness.js'
import { type Corkable, TurnCork } from './turn-cork.js'

interface IoredisOptions {
  readonly host?: string | undefined
  readonly port?: number | undefined
  readonly keyPrefix?: string | undefined
  readonly stringNumbers?: boolean | undefined
  readonly redisOptions?: IoredisOptions | undefined
}

/** The part that is used of a client that was given; `Redis` and `Cluster` of both versions have it. */
export interface IoredisClient {
  readonly isCluster?: boolean
  readonly status: string
  readonly options?: IoredisOptions
  callBuffer(command: string, ...args: (string | Buffer | number)[]): Promise<unknown>
  pipeline(): unknown
  duplicate(...args: never[]): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
}

interface Pipeline {
  callBuffer(command: string, ...args: CommandPart[]): Pipeline
  exec(): Promise<[error: Error | null, reply: unknown][] | null>
}

/** A connection made here, with the parts of ioredis that only its maker may use. */
interface OwnRedis extends IoredisClient {
  readonly stream?: { ref?(): unknown; unref?(): unknown }
  readonly reconnectTimeout?: { unref?(): unknown }
  subscribe(...channels: string[]): Promise<unknown>
  ping(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  /** Like `on` above, for listeners with typed arguments. */
  on(event: string, listener: (...args: never[]) => void): unknown
}

/** The socket is not part of ioredis' interface; if there is none, commands leave one by one. */
type WithSocket = IoredisClient & { readonly stream?: Partial<Corkable> }

interface ClusterClient extends IoredisClient {
  nodes(role: 'master' | 'all'): IoredisClient[]
  refreshSlotsCache(): void
}

/** How long to wait before trying again to listen on a connection that works: the user may not have the permission yet. */
const SUBSCRIBE_AGAIN_MS = 1_000
/** The shortest time after which a connection to a server that takes no writes is made anew once more. */
const RECONNECT_MS = 1_000
/** How long to wait before another node of a cluster is tried, because all of them may be away and refuse at once. */
const NEXT_NODE_MS = 100

/** How long to wait before connecting again: short at first, and never so long that locking stays away after Redis is back. */
export function retryDelayMs(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 5), 1_000)
}

/**
 * Commands fail at once while there is no connection, instead of piling up: the store tries them again within its own
 * deadline, and a claim whose caller was told 503 long ago must not be carried out when Redis comes back. A connection
 * that answers nothing any more is given up and made anew, and so is one to a server that was demoted, because its
 * address may lead to another server by now. `waitMs`: for how long a command may wait for replicas, which says nothing of the connection.
 */
export function ownDefaults(waitMs = 0): Omit<RedisOptions, 'replyMapping'> {
  let demotedAt = Number.NEGATIVE_INFINITY
  return {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    connectTimeout: 2_000,
    socketTimeout: SILENCE_MS + waitMs,
    retryStrategy: retryDelayMs,
    reconnectOnError: error => {
      const now = performance.now()
      // Not each time: a user whose address leads to a replica by mistake is to be told of that, and not of lost connections.
      if (!takesNoWrites(error) || now - demotedAt < RECONNECT_MS) return false
      demotedAt = now
      return true
    },
  }
}

export function isIoredisClient(given: object): given is IoredisClient {
  return hasMethods(given, ['callBuffer', 'pipeline', 'duplicate', 'on'])
}

export function connectIoredis(
  where: { readonly url: string } | { readonly options: RedisOptions },
  waitMs: number,
  onTrouble: (error: unknown) => void,
): StoreClient {
  if ('url' in where) {
    const client = new Redis(where.url, { ...ownDefaults(waitMs) } satisfies RedisOptions)
    return adoptIoredis(client, onTrouble)
  }
  // Typed with `replyMapping`, by which ioredis tells its constructors apart; it does not change what this store reads.
  const options = { ...ownDefaults(waitMs), ...where.options } as RedisOptions & { replyMapping?: 'legacy' }
  return adoptIoredis(new Redis(options), onTrouble)
}

/** Puts a client that this package made elsewhere behind the store's interface; the store closes it. */
export function adoptIoredis(client: Redis | Cluster, onTrouble: (error: unknown) => void): StoreClient {
  keepToDatabase(client)
  return new IoredisStoreClient(makeOwn(client as unknown as OwnRedis, onTrouble), true)
}

/**
 * If its database is refused, ioredis goes on in database 0, among other people's keys. Such a connection is given up before anything
 * is sent on it, and made anew.
 */
export function keepToDatabase(client: Redis | Cluster): void {
  client.on('error', (error: unknown) => {
    const { command } = (error ?? {}) as { readonly command?: { readonly name?: unknown } }
    if (command?.name === 'select') client.disconnect(true)
  })
}

export class IoredisStoreClient implements StoreClient {
  readonly isCluster: boolean
  readonly keyPrefix: string
  readonly tellsLoss = true
  readonly #client: IoredisClient
  readonly #isOwn: boolean
  readonly #cork: TurnCork

  constructor(client: IoredisClient, isOwn: boolean) {
    this.#client = client
    this.#isOwn = isOwn
    this.isCluster = client.isCluster === true
    this.keyPrefix = client.options?.keyPrefix ?? ''
    this.#cork = new TurnCork(() => this.#listNodes().map(socketOf))
  }

  send(_key: string | undefined, [name = '', ...args]: readonly CommandPart[]): Promise<unknown> {
    if (isClosed(this.#client)) return Promise.reject(closedError())
    // Outside of a cluster, all operations of a turn are one command already, and corking would delay it by another turn.
    if (!this.isCluster) return callOn(this.#client, name, args)
    this.#cork.hold()
    try {
      const answer = callOn(this.#client, name, args)
      answer.catch(this.#learnSlots)
      return answer
    } catch {
      // With `enableAutoPipelining`, this is how ioredis fails if it knows no node for the slot.
      ;(this.#client as ClusterClient).refreshSlotsCache()
      return Promise.reject(noNodeError())
    }
  }

  async sendAndWait(
    _key: string,
    [name = '', ...args]: readonly CommandPart[],
    replicas: number,
    timeoutMs: number,
  ): Promise<readonly [unknown, number]> {
    if (isClosed(this.#client)) throw closedError()
    // A pipeline goes to one connection; in a cluster, to the node of its first key.
    const pipeline = this.#client.pipeline() as Pipeline
    const replies = await pipeline
      .callBuffer(String(name), ...args)
      .callBuffer('wait', String(replicas), String(timeoutMs))
      .exec()
    const [first, second] = replies ?? []
    if (first === undefined || second === undefined) throw cutOffError()
    const error = first[0] ?? second[0]
    if (error !== null) {
      this.#learnSlots(error)
      throw error
    }
    return [first[1], Number(second[1])]
  }

  async *scan(pattern: string): AsyncIterableIterator<readonly string[]> {
    if (isClosed(this.#client)) throw closedError()
    // ioredis puts its prefix before keys, but not before a pattern.
    const { keyPrefix } = this
    const nodes = this.#listNodes()
    // Nothing found on no node would look like an empty server.
    if (nodes.length === 0) throw noNodeError()
    for (const node of nodes) {
      const pages = scanWith(([name = '', ...args]) => callOn(node, name, args), asPattern(keyPrefix) + pattern)
      for await (const names of pages) yield names.map(name => name.slice(keyPrefix.length))
    }
  }

  listen(channels: readonly string[], listener: ChannelListener): ListeningConnection {
    if (this.isCluster) return new ClusterListening(this.#client as ClusterClient, channels, listener)
    const listening = new Listening(this.#client, channels, listener, retryDelayMs)
    // Both connections have to lead to the same server, because it is asked there who listens.
    if (this.#isOwn) this.#client.on('close', () => listening.reconnect())
    return listening
  }

  close(): void {
    if (this.#isOwn) (this.#client as OwnRedis).disconnect()
  }

  /** A pipeline in which only some commands have moved is not sent on, and ioredis learns nothing from it: without this, all tries would go to the old node. */
  readonly #learnSlots = (error: unknown): void => {
    if (this.isCluster && hasMoved(error)) (this.#client as ClusterClient).refreshSlotsCache()
  }

  /** The connections that commands may go to. */
  #listNodes(): IoredisClient[] {
    return this.isCluster ? (this.#client as ClusterClient).nodes('master') : [this.#client]
  }
}

/**
 * Asked before anything is sent: a closed cluster of ioredis never answers, and a closed single client does not say why. A cluster that has ended
 * says `close` again with each further node that ends. A client that is about to connect again says it for less than a turn.
 */
function isClosed({ status }: IoredisClient): boolean {
  return status === 'end' || status === 'close'
}

/** Calls the command's own method if there is one, because with `enableAutoPipelining` ioredis 5 and 6 drop the name that `callBuffer` is given. */
function callOn(client: IoredisClient, name: CommandPart, args: readonly CommandPart[]): Promise<unknown> {
  const own = (client as unknown as Record<string, unknown>)[`${String(name).toLowerCase()}Buffer`]
  if (typeof own === 'function') return own.apply(client, args) as Promise<unknown>
  return client.callBuffer(String(name), ...args)
}

function addressOf({ options }: IoredisClient): string {
  return `${options?.host}:${options?.port}`
}

function socketOf(node: IoredisClient): Corkable | undefined {
  const { stream } = node as WithSocket
  return typeof stream?.cork === 'function' && typeof stream.uncork === 'function' ? (stream as Corkable) : undefined
}

/** One connection that listens. */
class Listening implements ListeningConnection {
  readonly #client: OwnRedis
  readonly #channels: readonly string[]
  readonly #listener: ChannelListener
  readonly #heartbeat: NodeJS.Timeout
  #isListening = false
  /** Runs until the next try to listen; there is one timer, however often the client connects. */
  #again: NodeJS.Timeout | undefined
  #closed = false

  constructor(
    beside: IoredisClient,
    channels: readonly string[],
    listener: ChannelListener,
    retryStrategy: (times: number) => number | null,
  ) {
    this.#channels = channels
    this.#listener = listener
    const source = beside as unknown as { duplicate(options: RedisOptions): unknown }
    const client = source.duplicate({
      lazyConnect: false,
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
      autoResubscribe: false,
      readOnly: false,
      socketTimeout: SILENCE_MS,
      retryStrategy,
      sentinelRetryStrategy: retryDelayMs,
    })
    this.#client = makeOwn(client as OwnRedis, error => listener.onTrouble(error))
    this.#client.on('ready', () => void this.#subscribe())
    this.#client.on('close', () => {
      this.#isListening = false
      listener.onLost()
    })
    this.#client.on('messageBuffer', (_channel: Buffer, message: Buffer) => listener.onMessage(message))
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref()
  }

  /** Connects anew if the client is connected, or is waiting for the server to be ready. */
  reconnect(): void {
    const { status } = this.#client
    if (!this.#closed && (status === 'ready' || status === 'connect')) this.#client.disconnect(true)
  }

  onEnd(ended: () => void): void {
    this.#client.on('end', ended)
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#heartbeat)
    // If the connection is gone, ioredis would wait two seconds for its end.
    if (this.#client.status !== 'end') this.#client.disconnect()
  }

  async #subscribe(): Promise<void> {
    clearTimeout(this.#again)
    try {
      await this.#client.subscribe(...this.#channels)
      this.#isListening = true
      this.#listener.onListening()
    } catch (error) {
      if (this.#closed) return
      this.#listener.onTrouble(error)
      clearTimeout(this.#again)
      this.#again = setTimeout(() => {
        if (!this.#isListening && this.#client.status === 'ready') void this.#subscribe()
      }, SUBSCRIBE_AGAIN_MS).unref()
    }
  }

  /** The content of the answer does not matter; if none comes, `socketTimeout` ends the connection. */
  #beat(): void {
    if (this.#client.status === 'ready') this.#client.ping().catch(() => {})
  }
}

/** One connection to any node of a cluster, because messages reach all nodes; to another one when that is gone or has left the cluster. */
class ClusterListening implements ListeningConnection {
  readonly #cluster: ClusterClient
  readonly #channels: readonly string[]
  readonly #listener: ChannelListener
  readonly #check: NodeJS.Timeout
  #current: Listening | undefined
  /** The node on which it listens. */
  #node: IoredisClient | undefined
  #closed = false

  constructor(cluster: ClusterClient, channels: readonly string[], listener: ChannelListener) {
    this.#cluster = cluster
    this.#channels = channels
    this.#listener = listener
    this.#check = setInterval(() => this.#leaveStranger(), HEARTBEAT_MS).unref()
    void this.#choose()
  }

  reconnect(): void {
    this.#current?.reconnect()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#check)
    this.#current?.close()
  }

  /** A node that was taken out of its cluster still answers, but no longer gets the cluster's messages. */
  #leaveStranger(): void {
    const nodes = this.#cluster.nodes('all').map(addressOf)
    if (this.#node === undefined || nodes.length === 0 || nodes.includes(addressOf(this.#node))) return
    this.#current?.close()
  }

  async #choose(): Promise<void> {
    for (;;) {
      if (this.#closed) return
      const nodes = this.#cluster.nodes('all')
      const node = nodes[Math.floor(Math.random() * nodes.length)]
      if (node !== undefined) {
        this.#node = node
        this.#current = new Listening(node, this.#channels, this.#listener, () => null)
        this.#current.onEnd(() => {
          this.#current?.close()
          void delay(NEXT_NODE_MS, undefined, { ref: false }).then(() => this.#choose())
        })
        return
      }
      await delay(NEXT_NODE_MS, undefined, { ref: false })
    }
  }
}

function makeOwn(client: OwnRedis, onTrouble: (error: unknown) => void): OwnRedis {
  client.on('error', onTrouble)
  // Neither an idle connection nor the wait for the next attempt may keep a process alive that wants to exit.
  client.on('connect', () => client.stream?.unref?.())
  client.on('reconnecting', () => client.reconnectTimeout?.unref?.())
  // The client of a cluster has one client for each node.
  client.on('+node', (node: OwnRedis) => {
    node.stream?.unref?.()
    node.on('connect', () => node.stream?.unref?.())
  })
  return client
}
