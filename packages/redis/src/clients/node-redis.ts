// node-redis (the package `redis`) 5 and 6: a client, cluster or sentinel client that its owner has connected.

import { setTimeout as delay } from 'node:timers/promises'
import { isPromise, optionError } from '@dspinlock/core/support'
import { absentNodeError, deafError, noNodeError, noReplicasError, notConnectedError } from '../messages.js'
import {
  type ChannelListener,
  type CommandPart,
  hasMethods,
  type ListeningConnection,
  type StoreClient,
  scanWith,
  sendInOrder,
} from './client.js'
import { CONNECT_AGAIN_MS, HEARTBEAT_MS, SILENCE_MS } from './liveness.js'

/** The part that is used of a client that was given. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  sendCommand(...args: never[]): Promise<unknown>
  duplicate(...args: never[]): unknown
  on(event: string, listener: (...args: unknown[]) => void): unknown
}

/** Given with each command, because version 5 heeds no others. */
type CommandOptions = { readonly typeMapping: Record<number, unknown> }
interface Single {
  sendCommand(command: readonly CommandPart[], options?: CommandOptions): Promise<unknown>
}
interface ClusterNode {
  readonly address: string
}
interface Clustered {
  readonly masters: readonly ClusterNode[]
  readonly replicas: readonly ClusterNode[]
  nodeClient(node: ClusterNode): Promise<NodeRedisClient> | NodeRedisClient
  sendCommand(
    key: string | undefined,
    readOnly: boolean,
    command: readonly CommandPart[],
    options: CommandOptions,
  ): Promise<unknown>
}
interface Guarded {
  sendCommand(readOnly: boolean, command: readonly CommandPart[], options: CommandOptions): Promise<unknown>
}
interface Subscribable {
  connect(): Promise<unknown>
  on(event: string, listener: (...args: unknown[]) => void): unknown
  subscribe(channels: string[], onMessage: (message: Buffer) => void, asBuffers: true): Promise<unknown>
  readonly isOpen: boolean
  readonly isReady?: boolean
  ping(): Promise<unknown>
  unref?(): void
  destroy(): unknown
}

/** For `RESP_TYPES.BLOB_STRING` and `VERBATIM_STRING`: bulk strings are to come as Buffers. */
const asBuffers: CommandOptions = { typeMapping: { 36: Buffer, 61: Buffer } }

type Kind = 'single' | 'cluster' | 'sentinel'

export function isNodeRedisClient(given: object): given is NodeRedisClient {
  return hasMethods(given, ['sendCommand', 'on']) && 'isOpen' in given
}

function kindOf(client: NodeRedisClient): Kind {
  if ('masters' in client && 'nodeClient' in client) return 'cluster'
  return 'getSentinelNode' in client || 'getMasterNode' in client ? 'sentinel' : 'single'
}

export class NodeRedisStoreClient implements StoreClient {
  readonly isCluster: boolean
  readonly tellsLoss = true
  readonly #client: NodeRedisClient
  readonly #kind: Kind

  constructor(client: NodeRedisClient) {
    if (typeof client.duplicate !== 'function') {
      throw optionError(
        'connection',
        client,
        'one that can be duplicated, to listen beside it, which a pool and a sentinel client of node-redis 5 cannot; in place of a pool use createClient, for Sentinels use version 6, or ioredis',
      )
    }
    this.#client = client
    this.#kind = kindOf(client)
    this.isCluster = this.#kind === 'cluster'
  }

  async send(key: string | undefined, command: readonly CommandPart[]): Promise<unknown> {
    this.#assertOpen()
    if (this.#kind === 'cluster')
      return (this.#client as unknown as Clustered).sendCommand(key, false, command, asBuffers)
    if (this.#kind === 'sentinel') return (this.#client as unknown as Guarded).sendCommand(false, command, asBuffers)
    return (this.#client as unknown as Single).sendCommand(command, asBuffers)
  }

  async sendAndWait(...given: Parameters<StoreClient['sendAndWait']>): ReturnType<StoreClient['sendAndWait']> {
    // Its pool may send the two over two connections, and WAIT speaks of its own connection only.
    if (this.#kind === 'sentinel') throw noReplicasError()
    const { masters } = this.#client as unknown as Partial<Clustered>
    const answers = await sendInOrder(this, ...given)
    // A slot has moved, and the client has learnt of that from the command, but WAIT may have gone to the old node, so both are sent again.
    return masters === (this.#client as unknown as Partial<Clustered>).masters ? answers : this.sendAndWait(...given)
  }

  async *scan(pattern: string): AsyncIterableIterator<readonly string[]> {
    if (this.#kind !== 'cluster') return yield* scanWith(command => this.send(undefined, command), pattern)
    this.#assertOpen()
    const cluster = this.#client as unknown as Clustered
    // Nothing found on no node would look like an empty server.
    if (cluster.masters.length === 0) throw noNodeError()
    for (const master of cluster.masters) {
      const node = (await cluster.nodeClient(master)) as unknown as Single
      yield* scanWith(command => node.sendCommand(command), pattern)
    }
  }

  listen(channels: readonly string[], listener: ChannelListener): ListeningConnection {
    return new Listening(this.#client, this.#kind, channels, listener)
  }

  close(): void {
    // The owner of the client closes it.
  }

  #assertOpen(): void {
    if (!this.#client.isOpen) throw notConnectedError()
  }
}

class Listening implements ListeningConnection {
  readonly #beside: NodeRedisClient
  readonly #kind: Kind
  readonly #channels: readonly string[]
  readonly #listener: ChannelListener
  readonly #heartbeat: NodeJS.Timeout
  #client: Subscribable | undefined
  /** The address of the cluster's node beside which `#client` listens. */
  #address: string | undefined
  #isListening = false
  /** Whether the socket of `#client` is connecting; that is not known of a sentinel client. */
  #isConnecting = false
  /** When messages may have begun to get lost, in `performance.now()`; undefined while they arrive. */
  #lostAt: number | undefined
  #closed = false

  constructor(beside: NodeRedisClient, kind: Kind, channels: readonly string[], listener: ChannelListener) {
    this.#beside = beside
    this.#kind = kind
    this.#channels = channels
    this.#listener = listener
    this.#heartbeat = setInterval(() => this.#beat(), HEARTBEAT_MS).unref()
    void this.#connect()
  }

  reconnect(): void {
    if (this.#isListening) this.#leave()
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#heartbeat)
    this.#destroy()
  }

  #beat(): void {
    if (!this.#isListening) return
    if (this.#kind === 'cluster' && this.#isStranger()) this.#leave()
    else if (this.#kind !== 'sentinel') this.#expectAnswer()
    // A sentinel client would send the ping over another one of its connections. It does not tell either when the one that listens is back, unless
    // the master is another one by then.
    else if (this.#lostAt !== undefined && performance.now() - this.#lostAt > SILENCE_MS) this.#leave()
  }

  /** A node that was taken out of its cluster still answers, but no longer gets the cluster's messages. */
  #isStranger(): boolean {
    const { masters, replicas } = this.#beside as unknown as Clustered
    return masters.length > 0 && ![...masters, ...replicas].some(({ address }) => address === this.#address)
  }

  /** Leaves the connection unless an answer comes in time; its content does not matter. */
  #expectAnswer(): void {
    const client = this.#client
    if (client?.isReady !== true) return
    const silence = setTimeout(() => {
      if (this.#client === client && this.#isListening) this.#leave()
    }, SILENCE_MS).unref()
    const end = (): void => clearTimeout(silence)
    client.ping().then(end, end)
  }

  #leave(): void {
    this.#isListening = false
    this.#lose()
    this.#destroy()
    void this.#connect()
  }

  #lose(): void {
    this.#lostAt ??= performance.now()
    this.#listener.onLost()
  }

  #hear(): void {
    this.#lostAt = undefined
    this.#listener.onListening()
  }

  async #connect(): Promise<void> {
    while (!this.#closed) {
      try {
        return await this.#subscribe()
      } catch (error) {
        if (!this.#closed) this.#listener.onTrouble(error)
        this.#destroy()
      }
      await delay(CONNECT_AGAIN_MS, undefined, { ref: false })
    }
  }

  async #subscribe(): Promise<void> {
    const source = await this.#source()
    // A client that is made now would be nobody's to end.
    if (this.#closed) return
    const client = source.duplicate(...([{ disableOfflineQueue: false }] as never[])) as Subscribable
    this.#client = client
    if (this.#kind !== 'sentinel') this.#followConnecting(client)
    // When the client connects again, it subscribes again before it emits 'ready'.
    client.on('ready', () => {
      if (this.#isListening && this.#client === client) this.#hear()
    })
    const lose = (): void => {
      // One that was left may tell late of its end.
      if (this.#client === client) this.#lose()
    }
    client.on('end', lose)
    client.on('reconnecting', lose)
    // A node of a cluster may never come back, and the client would try it for ever, so another node is used.
    const failed = new Promise<never>((_, reject) => {
      // The connection may die silently before it listens, and node-redis would wait for the answer to SUBSCRIBE for ever.
      client.on('connect', () => {
        setTimeout(() => reject(deafError(SILENCE_MS)), SILENCE_MS).unref()
      })
      client.on('error', (error: unknown) => {
        lose()
        if (!this.#closed) this.#listener.onTrouble(error)
        // A client that its owner's reconnectStrategy made give up is replaced, too: it would be closed for ever, and its owner does not know it.
        if (this.#kind !== 'cluster' && client.isOpen) return
        if (this.#isListening && this.#client === client) this.#leave()
        reject(error)
      })
    })
    await Promise.race([this.#start(client), failed])
    if (this.#closed) return this.#destroy()
    this.#isListening = true
    this.#hear()
  }

  /** The events by which a client that is no sentinel client tells whether its socket is connecting. */
  #followConnecting(client: Subscribable): void {
    this.#isConnecting = true
    for (const [event, isConnecting] of [
      ['connect', false],
      ['error', false],
      ['reconnecting', true],
    ] as const) {
      client.on(event, () => {
        if (this.#client === client) this.#isConnecting = isConnecting
      })
    }
  }

  async #start(client: Subscribable): Promise<void> {
    await client.connect()
    client.unref?.()
    await client.subscribe([...this.#channels], message => this.#listener.onMessage(message), true)
  }

  async #source(): Promise<NodeRedisClient> {
    if (this.#kind !== 'cluster') return this.#beside
    const cluster = this.#beside as unknown as Clustered
    const node = cluster.masters[Math.floor(Math.random() * cluster.masters.length)]
    if (node === undefined) throw noNodeError()
    this.#address = node.address
    const absence = delay(SILENCE_MS, undefined, { ref: false }).then((): never => {
      throw absentNodeError(node.address, SILENCE_MS)
    })
    return Promise.race([cluster.nodeClient(node), absence])
  }

  #destroy(): void {
    const client = this.#client
    this.#client = undefined
    if (client === undefined) return
    // If node-redis destroys a client while its socket connects, that stays open for good, and keeps the process alive.
    if (!this.#isConnecting) return destroy(client)
    for (const event of ['connect', 'error']) client.on(event, () => destroy(client))
  }
}

function destroy(client: Subscribable): void {
  try {
    const ended = client.destroy()
    if (isPromise(ended)) ended.then(undefined, () => {})
  } catch {
    // The client was closed already.
  }
}
