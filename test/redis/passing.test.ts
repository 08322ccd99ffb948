// Errors of the clients themselves, while connections and nodes come and go, lead to another try, as Redis' own passing errors do.

import { LockEngine } from '@dspinlock/core'
import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import * as nodeRedis from 'redis'
import { failure, holdOf } from '../support/engine.js'
import { redisUrl } from '../support/redis.js'

/** Node's error for a name with two addresses where nothing listens on either. */
const refused = new AggregateError([
  new Error('connect ECONNREFUSED ::1:6379'),
  new Error('connect ECONNREFUSED 127.0.0.1:6379'),
])

/** ioredis has no classes for its own errors. */
const failures: readonly (readonly [string, Error])[] = [
  ['ioredis', new Error('Too many Cluster redirections. Last error: ReplyError: CLUSTERDOWN The cluster is down')],
  ['ioredis', new Error('Too many Cluster redirections. Last error: ReplyError: MOVED 3 127.0.0.1:1')],
  ['ioredis', new Error('Command aborted due to connection close')],
  ['ioredis', new Error('No master node is available for the pipeline')],
  ['node-redis', new nodeRedis.DisconnectsClientError()],
  ['node-redis', new nodeRedis.ClientOfflineError()],
  ['node-redis', new nodeRedis.SocketClosedUnexpectedlyError()],
  ['node-redis', new nodeRedis.RootNodesUnavailableError()],
  ['node-redis', new nodeRedis.MaxCommandRedirectionsError()],
  ['node-redis', new nodeRedis.TimeoutError()],
  ['node-redis', new Error('None of the sentinels are available')],
  ['node-redis', new Error('The queue is full')],
  ['GLIDE', new Error('Reached maximum inflight requests- ClientError')],
  ['Node', refused],
  // What node-redis' commands fail with while it connects again.
  ['Redis', new Error('ERR max number of clients reached')],
]

describe('what passes by itself', () => {
  let client: Redis
  before(() => {
    client = new Redis(redisUrl())
  })
  after(() => client.disconnect())

  /** A client on which commands fail with `error` for as long as `fails` says. */
  const failing = (error: Error, fails = (): boolean => true): RedisConnection =>
    ({
      isOpen: true,
      on: () => {},
      duplicate: () => {
        throw error
      },
      sendCommand: (command: readonly [string, ...string[]]) =>
        fails() ? Promise.reject(error) : client.callBuffer(...command),
    }) as unknown as RedisConnection

  for (const [whose, error] of failures) {
    it(`${error.message || error.constructor.name} (${whose})`, async () => {
      let left = 2
      const store = redisStore(failing(error, () => left-- > 0))
      const engine = new LockEngine({ store })
      await holdOf(await engine.enter(error.message)).release()
      await engine.close()
      await store.close()
    })
  }

  it('of one slot, which migrates, is no outage: each claim waits for it', async () => {
    const error = new Error('TRYAGAIN Multiple keys request during rehashing of slot')
    let isMigrating = true
    let tries = 0
    let onTry = (): void => {}
    const store = redisStore(
      failing(error, () => (tries++, onTry(), isMigrating)),
      { commandTimeoutMs: 300 },
    )
    const engine = new LockEngine({ store })
    expect((await failure(engine.enter('key'))).message).to.include('TRYAGAIN')
    expect((await failure(engine.enter('key'))).message).to.include('TRYAGAIN')
    const before = tries
    onTry = () => {
      // Refused once; it is moved when it is tried again.
      isMigrating = tries === before + 1
    }
    await holdOf(await engine.enter('key')).release()
    await engine.close()
    await store.close()
  })

  it('is asked for again where ioredis throws because it knows no node for a slot yet', async () => {
    let isKnown = false
    const connection = Object.create(client, {
      isCluster: { value: true },
      nodes: { value: () => [client] },
      refreshSlotsCache: {
        value: () => {
          isKnown = true
        },
      },
      evalshaBuffer: {
        value: (...args: string[]) => {
          if (!isKnown) throw new TypeError("Cannot read properties of undefined (reading 'join')")
          return client.callBuffer('evalsha', ...args)
        },
      },
    }) as RedisConnection
    const store = redisStore(connection)
    const engine = new LockEngine({ store })
    await holdOf(await engine.enter('unknown')).release()
    await engine.close()
    await store.close()
  })

  for (const [error, told] of [
    [new nodeRedis.TimeoutError(), 'TimeoutError'],
    [refused, 'connect ECONNREFUSED ::1:6379, connect ECONNREFUSED 127.0.0.1:6379'],
  ] as const) {
    it(`is reported with other words if it has no message: ${told}`, async () => {
      const store = redisStore(failing(error), { commandTimeoutMs: 300 })
      const { message } = await failure(Promise.resolve(store.inspect('key')))
      expect(message).to.include(`failed in inspect for the key "key": ${told}`)
      await store.close()
    })
  }

  for (const [what, told] of [
    ['ERR max number of clients reached', /max number of clients reached; raise maxclients/],
    [
      'The queue is full',
      /The queue is full; the client has too many commands under way: raise .*commandsQueueMaxLength/,
    ],
    ['connect EMFILE 127.0.0.1:6379 - Local (undefined:undefined)', /; this process has too many files .*ulimit -n/],
  ] as const) {
    it(`is reported with what to do if it does not pass after all: ${what}`, async () => {
      const store = redisStore(failing(new Error(what)), { commandTimeoutMs: 300 })
      expect((await failure(Promise.resolve(store.inspect('key')))).message).to.match(told)
      await store.close()
    })
  }
})
