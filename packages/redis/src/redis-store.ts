// The store on Redis or Valkey: each operation is one call of a script, one round trip, tried again within one deadline.

import { randomBytes } from 'node:crypto'
import {
  type ClaimReply,
  type ClaimRequest,
  ClosedError,
  DspinlockError,
  type KeyState,
  type Mailbox,
  type MaybePromise,
  publishTrouble,
  type RecordReply,
  type ReleaseReply,
  type ReleaseRequest,
  type RenewRequest,
  type SettleRequest,
  type Store,
  StoreError,
  type Wake,
} from '@dspinlock/core'
import { isLive, optionError, viewOf, warnOnce } from '@dspinlock/core/support'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { Batch, callScript, distribute, type Row } from './batch.js'
import type { StoreClient } from './clients/client.js'
import { connectTo, type RedisClient } from './connection.js'
import { ConnectionTrouble, tellTrouble, warnUseless } from './connection-trouble.js'
import { Deadlines } from './deadlines.js'
import { decodeName, nameState, scanPattern } from './keys.js'
import { LocalCache } from './local-cache.js'
import { LostLeaves } from './lost-leaves.js'
import { foreignDataWarning, manyStoresWarning, tooFewReplicasError, unreadableError } from './messages.js'
import { Operation, type OperationHost } from './operation.js'
import { type RedisStoreOptions, readStoreOptions } from './options.js'
import { Outage } from './outage.js'
import { hasForeignMark, isUnheard, parseClaim, parseState, readTtlLeft } from './replies.js'
import { scanPages } from './scan-pages.js'
import { composeClaim, composeGiven, LONGEST_TTL_MS } from './scripts/index.js'
import { readServer } from './server-check.js'
import { Subscriber } from './subscriber.js'
import { TO_ALL } from './wakes.js'

/**
 * A store that is shared by all processes on the same Redis. It connects in the background: if the server cannot be
 * reached, operations fail with a StoreError, but this call does not.
 *
 * `connection`: a URL or options, with which ioredis connects (also to Sentinels); a client of ioredis 5 or 6 (`Redis`,
 * `Cluster`) or of node-redis 5 or 6 (a connected client, cluster or sentinel); or what `glideConnection` makes. A
 * client stays yours: it is neither reconfigured nor closed. In any case the store opens one more connection for wakes.
 * @throws TypeError for a wrong connection or option.
 */
export function redisStore(connection: RedisConnection, options?: RedisStoreOptions): Store {
  return new RedisStore(connection, options)
}

export type RedisConnection = string | RedisOptions | Redis | Cluster | RedisClient | StoreClient

/** How many stores are open at once until it looks as if each request made one. */
const TOO_MANY = 100

let openStores = 0

export class RedisStore implements Store {
  readonly name = 'redis'
  readonly synchronous = false
  readonly #client: StoreClient
  readonly #prefix: string
  readonly #commandTimeoutMs: number
  readonly #maxWakeRecordBytes: number
  readonly #minReplicas: number
  readonly #replicasTimeoutMs: number
  /** What every call of the script begins with. */
  readonly #common: string
  readonly #batch: Batch
  readonly #host: OperationHost
  /** Identifies this store among all processes. Short, because a call hashes each of its characters many times; without `-`, which would end it. */
  readonly #id: string = randomBytes(9).toString('base64url').replaceAll('-', '~')
  readonly #subscriber: Subscriber
  readonly #cache: LocalCache | undefined
  readonly #lostLeaves = new LostLeaves()
  readonly #outage: Outage
  readonly #trouble: ConnectionTrouble
  /** Why the store cannot work on this server, if it cannot and that is known. */
  #unfit: Error | undefined
  #nextMailbox = 0
  #closed = false

  constructor(connection: RedisConnection, options?: RedisStoreOptions) {
    const parsed = readStoreOptions(options)
    this.#outage = new Outage(parsed.commandTimeoutMs)
    this.#trouble = new ConnectionTrouble(this.#outage, parsed.commandTimeoutMs)
    const onTrouble = (error: unknown): void => {
      if (!this.#closed) this.#trouble.hear(error)
    }
    this.#client = connectTo(connection, parsed.minReplicas > 0 ? parsed.replicasTimeoutMs : 0, onTrouble)
    if (parsed.localCache !== undefined && this.#client.tellsLoss !== true) {
      this.#client.close()
      throw optionError(
        'localCache',
        parsed.localCache,
        'left out with a client that cannot tell when it was cut off (GLIDE)',
      )
    }
    this.#cache = parsed.localCache === undefined ? undefined : new LocalCache(parsed.localCache)
    this.#prefix = parsed.prefix
    this.#commandTimeoutMs = parsed.commandTimeoutMs
    this.#maxWakeRecordBytes = parsed.maxWakeRecordBytes
    this.#minReplicas = parsed.minReplicas
    this.#replicasTimeoutMs = parsed.replicasTimeoutMs
    const wakePrefix = `${parsed.prefix}:wake:`
    this.#common = `${wakePrefix} ${parsed.grantMs}`
    this.#batch = new Batch(this.#client.isCluster, this.#common, (state, command) => this.#client.send(state, command))
    this.#host = this.#makeHost()
    this.#subscriber = new Subscriber(
      this.#client,
      [`${wakePrefix}${this.#id}`, ...(this.#cache === undefined ? [] : [`${wakePrefix}${TO_ALL}`])],
      // It is not known whether replicas have what the release of another process wrote, but for a claim of our own it is.
      parsed.minReplicas > 0,
      onTrouble,
      {
        onListening: () => {
          // Nothing else may be asked between two interruptions.
          this.#outage.onAnswer()
          this.#cache?.open()
          void this.#checkServer()
        },
        onLost: () => this.#cache?.shut(),
        // The name as the server knows it, with the client's own prefix in front.
        onDropped: name => this.#cache?.drop(name.slice(this.#client.keyPrefix?.length)),
      },
    )
    if (++openStores === TOO_MANY) warnOnce('DSPINLOCK_W_MANY_STORES', manyStoresWarning(TOO_MANY))
  }

  get closed(): boolean {
    return this.#closed
  }

  open(onWake: (wake: Wake) => void): Mailbox {
    if (this.#closed) throw new ClosedError('store')
    const id = `${this.#id}-${++this.#nextMailbox}`
    this.#subscriber.add(id, wake => {
      const state = wake.kind === 'resync' ? undefined : this.#lostLeaves.take(wake.token)
      if (wake.kind === 'resync' || state === undefined) return onWake(wake)
      // It was handed the key, and nobody takes it up. If this fails, too, it is remembered once more.
      this.#leave(state, state, wake.token).catch(() => {})
    })
    return { id, close: () => this.#subscriber.remove(id) }
  }

  claim(request: ClaimRequest): MaybePromise<ClaimReply> {
    const { key, payload } = request
    const state = nameState(this.#prefix, key)
    // A claim that waits already has to reach the store, so that it is removed from the waiters.
    const known = request.takeRecord && request.arrival === 0 ? this.#cache?.find(state, payload) : undefined
    if (known !== undefined) return known
    const sentAt = performance.now()
    const epoch = this.#cache?.epoch ?? 0
    const read = (reply: unknown): ClaimReply => {
      const parsed = this.#readClaim(reply, key, sentAt)
      if (this.#cache !== undefined && parsed.state === 'record') {
        const facts = { payload, ageMs: parsed.ageMs, ttlLeftMs: readTtlLeft(reply), askedAt: sentAt, epoch }
        this.#cache.keep(state, parsed.record, facts)
      }
      return parsed
    }
    if (this.#minReplicas > 0) return this.#claimOnReplicas(request, read)
    return this.#runOn(state, 'claim', key, composeClaim(request), read)
  }

  recall(key: string, payload: string): RecordReply | undefined {
    return this.#cache?.find(nameState(this.#prefix, key), payload)
  }

  async #claimOnReplicas(request: ClaimRequest, read: (reply: unknown) => ClaimReply): Promise<ClaimReply> {
    const { key, token } = request
    const [reply, acknowledged] = await this.#runOnReplicas('claim', key, composeClaim(request))
    const parsed = read(reply)
    if (parsed.state !== 'held' || acknowledged >= this.#minReplicas) return parsed
    await this.release({ key, token, passMs: 0, maxLocalTurns: 0 })
    throw this.#tooFewReplicas('claim', key, acknowledged)
  }

  async renew({ key, token, leaseMs }: RenewRequest): Promise<boolean> {
    const args = composeGiven(token, leaseMs, undefined, '')
    if (this.#minReplicas === 0) return this.#run('renew', key, args, isYes)
    const [reply, acknowledged] = await this.#runOnReplicas('renew', key, args)
    if (isYes(reply) && acknowledged < this.#minReplicas) throw this.#tooFewReplicas('renew', key, acknowledged)
    return isYes(reply)
  }

  settle({ key, token, record, ttlMs, retainMs }: SettleRequest): Promise<boolean> {
    const rest = `${Math.min(ttlMs, LONGEST_TTL_MS)} ${Math.ceil(retainMs)} ${this.#maxWakeRecordBytes}`
    const given = composeGiven(token, 0, undefined, rest)
    return this.#run('settle', key, given, isYes, viewOf(record))
  }

  release({ key, token, passMs, maxLocalTurns, next }: ReleaseRequest): Promise<ReleaseReply> {
    const sentAt = next === undefined ? 0 : performance.now()
    const read = (reply: unknown): ReleaseReply => {
      if (reply === 0) return { mine: false }
      if (reply === 1) return { mine: true }
      return { mine: true, next: this.#readClaim(reply, key, sentAt) }
    }
    // If replicas have to acknowledge claims, the next claim is sent by itself.
    if (next === undefined || this.#minReplicas > 0) {
      return this.#run('release', key, composeGiven(token, passMs, undefined, ''), read)
    }
    return this.#run('handOn', key, composeClaim(next, `${token} ${passMs} ${maxLocalTurns} `), read)
  }

  leave(key: string, token: string): Promise<void> {
    return this.#leave(nameState(this.#prefix, key), key, token)
  }

  async #leave(state: string, key: string, token: string): Promise<void> {
    try {
      await this.#runOn(state, 'leave', key, composeGiven(token, 0, undefined, ''), () => {})
    } catch (error) {
      this.#lostLeaves.add(token, state)
      throw error
    }
  }

  forget(key: string, fence?: number): Promise<boolean> {
    const state = nameState(this.#prefix, key)
    const drop = (): void => this.#cache?.drop(state)
    drop()
    return this.#runOn(state, 'forget', key, composeGiven('', 0, undefined, String(fence ?? '')), reply => {
      // While it was tried again, a claim may have fetched the record once more, and the message about the drop may still be under way.
      drop()
      return isYes(reply)
    })
  }

  inspect(key: string): Promise<KeyState | undefined> {
    const state = nameState(this.#prefix, key)
    // The fence is that of what Redis has: who forgets by it, because of a record from memory, could mean another one.
    this.#cache?.drop(state)
    return this.#inspectNamed(key, state)
  }

  async *list(): AsyncIterableIterator<KeyState> {
    if (this.#closed) throw new ClosedError('store')
    const seen = new Set<string>()
    const pages = scanPages(this.#client, scanPattern(this.#prefix), this.#commandTimeoutMs, () => this.#closed)
    try {
      for await (const names of pages) {
        for (const name of names) {
          const key = decodeName(this.#prefix, name)
          if (key === undefined || seen.has(key)) continue
          seen.add(key)
          // By name and not by key, because only the digest of a long key is known.
          const state = await this.#inspectNamed(key, name)
          if (isLive(state)) yield state
        }
      }
    } catch (error) {
      if (error instanceof DspinlockError) throw error
      throw this.#host.describe('list', undefined, error)
    }
  }

  #inspectNamed(key: string, state: string): Promise<KeyState | undefined> {
    return this.#runOn(state, 'inspect', key, composeGiven('', 0, undefined, ''), reply => parseState(key, reply))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    openStores--
    this.#cache?.shut()
    this.#subscriber.close()
    this.#client.close()
  }

  #run<T>(name: Row['name'], key: string, given: string, read: (reply: unknown) => T, record?: Buffer): Promise<T> {
    return this.#runOn(nameState(this.#prefix, key), name, key, given, read, record)
  }

  #runOn<T>(
    state: string,
    name: Row['name'],
    key: string,
    given: string,
    read: (reply: unknown) => T,
    record?: Buffer,
  ): Promise<T> {
    return new Operation(this.#host, name, key, state, given, record, read).promise
  }

  /** Waits until `minReplicas` replicas have what was written; the second result says how many have it. */
  #runOnReplicas(
    name: Row['name'],
    key: string,
    given: string,
  ): Promise<readonly [reply: unknown, acknowledged: number]> {
    let acknowledged = 0
    const host: OperationHost = {
      ...this.#host,
      send: row =>
        callScript(
          [row],
          this.#common,
          this.#batch.isCluster,
          command => this.#client.sendAndWait(row.state, command, this.#minReplicas, this.#replicasTimeoutMs),
          ([replies, count]) => {
            acknowledged = count
            distribute([row], replies)
          },
          error => row.onFailure(error),
        ),
    }
    const read = (reply: unknown): readonly [unknown, number] => [reply, acknowledged]
    return new Operation(host, name, key, nameState(this.#prefix, key), given, undefined, read).promise
  }

  #makeHost(): OperationHost {
    return {
      deadlines: new Deadlines(this.#commandTimeoutMs),
      outage: this.#outage,
      send: row => this.#batch.add(row),
      findObstacle: (what, key) => {
        if (this.#closed) return new ClosedError('store', key)
        return this.#unfit === undefined ? undefined : new StoreError(this.name, what, key, this.#unfit)
      },
      describe: (what, key, cause) => {
        if (this.#closed) return new ClosedError('store', key)
        return this.#failure(what, key, this.#trouble.explain(cause))
      },
    }
  }

  async #checkServer(): Promise<void> {
    const { unfit, isCluster } = await readServer(this.#client)
    this.#unfit = unfit
    if (isCluster) this.#batch.split()
    if (this.#unfit !== undefined) tellTrouble(this.#unfit)
  }

  /** For an operation that is not tried again. A request that it belongs to is only answered 503, so the warning has to say why. */
  #failure(operation: string, key: string | undefined, cause: unknown): StoreError {
    warnUseless(cause)
    return new StoreError(this.name, operation, key, cause)
  }

  #tooFewReplicas(operation: string, key: string, acknowledged: number): StoreError {
    const cause = tooFewReplicasError(acknowledged, this.#minReplicas, this.#replicasTimeoutMs)
    return this.#failure(operation, key, cause)
  }

  #readClaim(reply: unknown, key: string, sentAt: number): ClaimReply {
    const parsed = parseClaim(reply, sentAt)
    if (parsed === undefined) throw this.#unreadable('claim', key)
    if (hasForeignMark(reply)) this.#tellForeign(key)
    if (isUnheard(reply)) this.#subscriber.reconnect()
    // The message that a hold has ended the record may come after the hold itself.
    if (parsed.state === 'held') this.#cache?.remove(nameState(this.#prefix, key))
    return parsed
  }

  #tellForeign(key: string): void {
    const message = foreignDataWarning(this.#prefix)
    warnOnce('DSPINLOCK_W_FOREIGN_DATA', message)
    publishTrouble('redis', 'claim', new Error(message), key)
  }

  #unreadable(operation: string, key: string): StoreError {
    return this.#failure(operation, key, unreadableError())
  }
}

function isYes(reply: unknown): boolean {
  return reply === 1
}
