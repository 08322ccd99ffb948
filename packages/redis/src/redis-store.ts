// The store on Redis or Valkey: each operation one script, one round trip, tried again within one deadline.

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type ClaimReply,
  type ClaimRequest,
  ClosedError,
  type KeyState,
  type Mailbox,
  publishTrouble,
  type ReleaseReply,
  type ReleaseRequest,
  type RenewRequest,
  type SettleRequest,
  type Store,
  StoreError,
  type Wake,
} from '@dspinlock/core'
import { integer, type OptionReader, optionError, parseOptions, timerMs, warnOnce } from '@dspinlock/core/support'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { type Connection, connectTo, type RedisClient } from './connection.js'
import { isMissingScript, isPassing, withRemedy } from './failures.js'
import { decodeName, nameKeys, scanPattern } from './keys.js'
import { hasForeignMark, isReply, parseClaim, parseState } from './replies.js'
import * as scripts from './scripts/index.js'
import { Subscriber } from './subscriber.js'

export interface RedisStoreOptions {
  /** Starts the name of every key and channel. Default `'dspinlock'`. No braces; they decide about cluster slots. */
  readonly prefix?: string
  /** The most that an operation may take, all its tries together, in milliseconds. Default 2 000. */
  readonly commandTimeoutMs?: number
  /**
   * How long a waiter that was handed the key has to renew it before it goes to the next, in milliseconds. Default 900:
   * what a waiter that died since costs the others, where Redis cannot tell that nobody listened.
   */
  readonly grantMs?: number
  /** Records up to this many bytes travel in the message that wakes a waiter; larger ones are fetched. Default 16 384. */
  readonly maxWakeRecordBytes?: number
}

const readPrefix: OptionReader<string> = (given, name) => {
  if (given === undefined) return 'dspinlock'
  if (typeof given === 'string' && /^[^{}\s]+$/.test(given)) return given
  throw optionError(name, given, 'a string without spaces and braces')
}

const shape = {
  prefix: readPrefix,
  commandTimeoutMs: timerMs(2_000),
  grantMs: timerMs(900),
  maxWakeRecordBytes: integer(16_384, 0),
} as const

/** The first pause between tries, doubled for each further one up to the second figure. */
const RETRY_MS = [20, 200] as const

/**
 * A store that is shared by all processes on the same Redis. Connecting goes on in the background: an unreachable
 * server makes operations fail with a StoreError, not this call.
 *
 * `connection`: a URL, ioredis options, or an ioredis client (`Redis` or `Cluster`, 5 or 6). A client stays yours: it is
 * neither reconfigured nor closed. Either way the store opens one more connection for wake-ups.
 * @throws TypeError for a connection or an option that is none.
 */
export function redisStore(
  connection: string | RedisOptions | Redis | Cluster | RedisClient,
  options?: RedisStoreOptions,
): Store {
  return new RedisStore(connection, options)
}

export class RedisStore implements Store {
  readonly name = 'redis'
  readonly synchronous = false
  readonly #connection: Connection
  readonly #prefix: string
  readonly #commandTimeoutMs: number
  readonly #maxWakeRecordBytes: number
  /** What every script is given first. */
  readonly #common: readonly [wakePrefix: string, grantMs: number, countsListeners: number]
  /** Names this store among all processes. */
  readonly #id: string = randomBytes(9).toString('hex')
  readonly #subscriber: Subscriber
  #nextMailbox = 0
  #closed = false

  constructor(connection: string | RedisOptions | Redis | Cluster | RedisClient, options?: RedisStoreOptions) {
    const parsed = parseOptions('redisStore', options, shape)
    this.#connection = connectTo(connection)
    this.#prefix = parsed.prefix
    this.#commandTimeoutMs = parsed.commandTimeoutMs
    this.#maxWakeRecordBytes = parsed.maxWakeRecordBytes
    const wakePrefix = `${parsed.prefix}:wake:`
    // A cluster's nodes each count their own listeners only.
    const countsListeners = this.#connection.client.isCluster === true ? 0 : 1
    this.#common = [wakePrefix, parsed.grantMs, countsListeners]
    this.#subscriber = new Subscriber(this.#connection.client, `${wakePrefix}${this.#id}`)
  }

  get closed(): boolean {
    return this.#closed
  }

  open(onWake: (wake: Wake) => void): Mailbox {
    if (this.#closed) throw new ClosedError('store')
    const id = `${this.#id}-${++this.#nextMailbox}`
    this.#subscriber.add(id, onWake)
    return { id, close: () => this.#subscriber.remove(id) }
  }

  async claim(request: ClaimRequest): Promise<ClaimReply> {
    const sentAt = performance.now()
    const reply = await this.#run(scripts.claimScript, 'claim', request.key, claimArguments(request))
    return this.#readClaim(reply, request.key, sentAt)
  }

  async renew({ key, token, leaseMs }: RenewRequest): Promise<boolean> {
    return (await this.#run(scripts.renewScript, 'renew', key, [token, leaseMs])) === 1
  }

  async settle({ key, token, record, ttlMs, retainMs }: SettleRequest): Promise<boolean> {
    const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength)
    const args = [token, bytes, ttlMs, Math.ceil(retainMs), this.#maxWakeRecordBytes]
    return (await this.#run(scripts.settleScript, 'settle', key, args)) === 1
  }

  async release({ key, token, passMs, maxLocalTurns, next }: ReleaseRequest): Promise<ReleaseReply> {
    const sentAt = performance.now()
    const more = next === undefined ? [] : claimArguments(next)
    const args = [token, passMs, maxLocalTurns, next === undefined ? 0 : 1, ...more]
    const reply = await this.#run(scripts.releaseScript, 'release', key, args)
    if (!isReply(reply)) throw this.#unreadable('release', key)
    if (reply[0] !== 1) return { mine: false }
    return reply.length < 2 ? { mine: true } : { mine: true, next: this.#readClaim(reply[1], key, sentAt) }
  }

  async leave(key: string, token: string): Promise<void> {
    await this.#run(scripts.leaveScript, 'leave', key, [token])
  }

  async forget(key: string, fence?: number): Promise<boolean> {
    return (await this.#run(scripts.forgetScript, 'forget', key, fence === undefined ? [] : [fence])) === 1
  }

  async inspect(key: string): Promise<KeyState | undefined> {
    return parseState(key, await this.#run(scripts.inspectScript, 'inspect', key, []))
  }

  async *list(): AsyncIterableIterator<KeyState> {
    if (this.#closed) throw new ClosedError('store')
    const { client } = this.#connection
    const nodes = client.isCluster === true ? (client as unknown as Cluster).nodes('master') : [client]
    for (const node of nodes as RedisClient[]) {
      const seen = new Set<string>()
      let cursor = '0'
      do {
        const page = node.scan(cursor, 'MATCH', scanPattern(this.#prefix), 'COUNT', 200)
        const [next, names] = await withinDeadline(
          page,
          performance.now() + this.#commandTimeoutMs,
          this.#commandTimeoutMs,
        )
        cursor = next
        for (const name of names) {
          const key = decodeName(this.#prefix, name)
          if (key === undefined || seen.has(key)) continue
          seen.add(key)
          const state = await this.inspect(key)
          if (state !== undefined && (state.state !== 'free' || state.waiters > 0)) yield state
        }
      } while (cursor !== '0')
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#subscriber.close()
    this.#connection.own?.disconnect()
  }

  async #run(
    script: scripts.Script,
    operation: string,
    key: string,
    args: readonly (string | number | Buffer)[],
  ): Promise<unknown> {
    const deadline = performance.now() + this.#commandTimeoutMs
    const [hash, waiters] = nameKeys(this.#prefix, key)
    let pauseMs: number = RETRY_MS[0]
    for (;;) {
      if (this.#closed) throw new ClosedError('store', key)
      try {
        return await this.#send(script, [hash, waiters, ...this.#common, ...args], deadline)
      } catch (error) {
        if (this.#closed) throw new ClosedError('store', key)
        if (!isPassing(error) || performance.now() + pauseMs >= deadline) {
          throw new StoreError(this.name, operation, key, withRemedy(error))
        }
        await delay(pauseMs)
        pauseMs = Math.min(pauseMs * 2, RETRY_MS[1])
      }
    }
  }

  async #send(script: scripts.Script, args: (string | number | Buffer)[], deadline: number): Promise<unknown> {
    const { client } = this.#connection
    const answer = client.evalshaBuffer(script.sha, 2, ...args).catch((error: unknown) => {
      if (!isMissingScript(error)) throw error
      return client.evalBuffer(script.source, 2, ...args)
    })
    return withinDeadline(answer, deadline, this.#commandTimeoutMs)
  }

  #readClaim(reply: unknown, key: string, sentAt: number): ClaimReply {
    const parsed = parseClaim(reply, sentAt)
    if (parsed === undefined) throw this.#unreadable('claim', key)
    if (hasForeignMark(reply)) this.#tellForeign(key)
    return parsed
  }

  #tellForeign(key: string): void {
    const message = `Redis held something under the prefix ${JSON.stringify(this.#prefix)} that dspinlock did not write; it was replaced. Use another prefix, or keep others out of this one`
    warnOnce('DSPINLOCK_W_FOREIGN_DATA', message)
    publishTrouble('redis', 'claim', new Error(message), key)
  }

  #unreadable(operation: string, key: string): StoreError {
    return new StoreError(
      this.name,
      operation,
      key,
      new Error('its script gave an answer that is none; is something else answering for Redis?'),
    )
  }
}

function claimArguments(request: ClaimRequest): (string | number)[] {
  const { token, leaseMs, wait, takeRecord, payload, arrival } = request
  return [token, leaseMs, wait ? 1 : 0, takeRecord ? 'r' : 't', payload, arrival]
}

function withinDeadline<T>(answer: Promise<T>, deadline: number, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    // Not unref'd, unlike the sockets: this keeps the process while somebody awaits the answer, and ends the wait.
    const timer = setTimeout(
      () => reject(new Error(`no answer within commandTimeoutMs (${timeoutMs})`)),
      Math.max(0, deadline - performance.now()),
    )
    answer.then(
      value => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
