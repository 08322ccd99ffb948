// Valkey GLIDE (`@valkey/valkey-glide` 2): `GlideClient` and `GlideClusterClient`.

import { setTimeout as delay } from 'node:timers/promises'
import { glideDeafError } from '../messages.js'
import {
  type ChannelListener,
  type CommandPart,
  type ListeningConnection,
  type StoreClient,
  scanWith,
  sendInOrder,
} from './client.js'
import { CONNECT_AGAIN_MS } from './liveness.js'

/** The part that is used of either class: how a client is made. */
export interface GlideClientClass<Config> {
  createClient(config: Config): Promise<unknown>
}

interface GlideClient {
  customCommand(command: readonly CommandPart[], options: object): Promise<unknown>
  close(): void
}

/** `Decoder.Bytes`. */
const asBytes = 0
/** `PubSubChannelModes.Exact`, in the configurations of both classes. */
const EXACT_CHANNELS = 0

/**
 * A connection for `redisStore` by Valkey GLIDE: `glideConnection(GlideClient, { addresses: [{ host, port }] })`, or with
 * `GlideClusterClient`. GLIDE names its subscriptions when a client is made, so the store makes two of its own, and
 * closes them when it is closed.
 */
export function glideConnection<Config extends object>(
  clientClass: GlideClientClass<Config>,
  config: Config,
): StoreClient {
  return new GlideStoreClient(clientClass, config)
}

/** GLIDE's own names for the error codes that it knows; other codes it leaves as they are. */
const codes: Readonly<Record<string, string>> = {
  NoScriptError: 'NOSCRIPT',
  ReadOnly: 'READONLY',
  PermissionDenied: 'NOPERM',
  BusyLoadingError: 'LOADING',
  ClusterDown: 'CLUSTERDOWN',
  MasterDown: 'MASTERDOWN',
  TryAgain: 'TRYAGAIN',
  CrossSlot: 'CROSSSLOT',
  Moved: 'MOVED',
  Ask: 'ASK',
  ResponseError: 'ERR',
}

/** What the server answered to a new connection, within `Connection error: Standalone(Received error for address …: WRONGPASS: …\n)`. */
const CONNECTION_REFUSED = /^Connection error: .*?: ((?:NOAUTH|WRONGPASS|NOPERM)\b.*)$/m
/** While a client with subscriptions is made, GLIDE waits for them, and does not say that they were refused. */
const CONNECTION_TIMEOUT = /^Connection error: Timeout/

/** Turns `An error was signalled by the server: - ReadOnly: …` or `OOM: …` back into what the server said: `READONLY …`, `OOM …`. */
function withCode(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const [, refused] = CONNECTION_REFUSED.exec(error.message) ?? []
  if (refused !== undefined) return new Error(refused.replace(':', ''), { cause: error })
  const [, name = '', detail = ''] =
    /^(?:An error was signalled by the server: - )?(\w+): ([^]*)$/.exec(error.message) ?? []
  const code = codes[name] ?? (/^[A-Z]+$/.test(name) ? name : undefined)
  return code === undefined ? error : new Error(`${code} ${detail}`, { cause: error })
}

class GlideStoreClient<Config extends object> implements StoreClient {
  readonly isCluster: boolean
  readonly #class: GlideClientClass<Config>
  readonly #config: Config
  #client: Promise<GlideClient> | undefined
  #closed = false

  constructor(clientClass: GlideClientClass<Config>, config: Config) {
    this.#class = clientClass
    this.#config = config
    this.isCluster = (clientClass as unknown as { name: string }).name.includes('Cluster')
  }

  async send(key: string | undefined, command: readonly CommandPart[]): Promise<unknown> {
    try {
      const client = await this.#connect()
      return await client.customCommand(command, { decoder: asBytes, ...this.#route(key) })
    } catch (error) {
      throw withCode(error)
    }
  }

  sendAndWait(...given: Parameters<StoreClient['sendAndWait']>): ReturnType<StoreClient['sendAndWait']> {
    return sendInOrder(this, ...given)
  }

  async *scan(pattern: string): AsyncIterableIterator<readonly string[]> {
    if (!this.isCluster) return yield* scanWith(command => this.send(undefined, command), pattern)
    const client = await this.#connect()
    for (const address of await this.#masters(client)) {
      const route = { type: 'routeByAddress', ...address }
      yield* scanWith(command => client.customCommand(command, { decoder: asBytes, route }), pattern)
    }
  }

  listen(channels: readonly string[], listener: ChannelListener): ListeningConnection {
    let current: GlideClient | undefined
    let closed = false
    const connect = async (): Promise<void> => {
      while (!closed) {
        try {
          current = (await this.#class.createClient(this.#withSubscription(channels, listener))) as GlideClient
          if (closed) return current.close()
          return listener.onListening()
        } catch (error) {
          const isTimeout = error instanceof Error && CONNECTION_TIMEOUT.test(error.message)
          if (!closed) listener.onTrouble(isTimeout ? glideDeafError(error) : withCode(error))
        }
        await delay(CONNECT_AGAIN_MS, undefined, { ref: false })
      }
    }
    void connect()
    return {
      reconnect: () => {
        if (closed || current === undefined) return
        current.close()
        current = undefined
        void connect()
      },
      close: () => {
        closed = true
        current?.close()
      },
    }
  }

  close(): void {
    this.#closed = true
    this.#client?.then(
      client => client.close(),
      () => {},
    )
  }

  /** The one client. If it could not be made, the next command tries again. */
  #connect(): Promise<GlideClient> {
    if (this.#client === undefined) {
      const made = this.#class.createClient(this.#config) as Promise<GlideClient>
      this.#client = made
      made.then(
        client => {
          if (this.#closed) client.close()
        },
        () => {
          this.#client = undefined
        },
      )
    }
    return this.#client
  }

  #withSubscription(channels: readonly string[], listener: ChannelListener): Config {
    const callback = ({ message }: { readonly message: string | Buffer }): void =>
      listener.onMessage(Buffer.isBuffer(message) ? message : Buffer.from(message))
    const channelsAndPatterns = { [EXACT_CHANNELS]: new Set(channels) }
    // Messages are decoded by the client's default decoder, and a record is not text.
    const pubsubSubscriptions = { channelsAndPatterns, callback }
    // A lazy client connects for its first command, and this one is given none.
    return { ...this.#config, lazyConnect: false, defaultDecoder: asBytes, pubsubSubscriptions }
  }

  #route(key: string | undefined): object {
    if (!this.isCluster) return {}
    return { route: key === undefined ? 'randomNode' : { type: 'primarySlotKey', key } }
  }

  async #masters(client: GlideClient): Promise<{ host: string; port: number }[]> {
    const reply = await client.customCommand(['CLUSTER', 'NODES'], { decoder: asBytes, route: 'randomNode' })
    return String(reply)
      .split('\n')
      .map(line => line.split(' '))
      .filter(([, , flags = '']) => flags.split(',').includes('master') && !flags.includes('fail'))
      .map(([, address = '']) => {
        const [, host = '', port = ''] = /^(.*):(\d+)/.exec(address) ?? []
        return { host, port: Number(port) }
      })
  }
}
