// Records kept in the process: replays without a command, and never longer than the record is there.

import { setTimeout as delay } from 'node:timers/promises'
import { type EnterOptions, type Entry, LockEngine, StoreError } from '@dspinlock/core'
import { type RedisConnection, type RedisStoreOptions, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { FaultProxy } from '../support/fault-proxy.js'

const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
const localCache = { maxBytes: 1_000_000, maxAgeMs: 60_000 } as const

describe('records kept in the process', () => {
  let redis: RedisServer
  let client: Redis
  let keys = 0
  let closing: (() => unknown)[] = []

  before(async () => {
    redis = await startRedisServer()
    client = new Redis(redis.url)
  })
  afterEach(async () => {
    for (const close of closing.reverse()) await close()
    closing = []
    // Redis notices a closed connection a little later, and who listens is counted by the next test.
    await until(async () => (await countListening()) === 0)
  })
  after(async () => {
    client.disconnect()
    await redis.stop()
  })

  const makeKey = (): string => `key-${++keys}`

  /** An engine with a store of its own, as another process would have, that listens already. */
  const makeEngine = async (
    options: RedisStoreOptions = { localCache },
    connection: RedisConnection = redis.url,
  ): Promise<LockEngine> => {
    const listening = await countListening()
    const store = redisStore(connection, options)
    const engine = new LockEngine({ store })
    closing.push(() => engine.close().then(() => store.close()))
    if (options.localCache !== undefined) await until(async () => (await countListening()) > listening)
    return engine
  }
  const countListening = async (): Promise<number> =>
    Number(((await client.pubsub('NUMSUB', 'dspinlock:wake:all')) as [string, number])[1])

  const until = async (isSo: () => Promise<boolean> | boolean): Promise<void> => {
    for (const end = Date.now() + 5_000; !(await isSo()); await delay(5)) {
      if (Date.now() > end) throw new Error('it never came to that')
    }
  }

  /** Does the work as the holder and leaves `record`. */
  const leave = async (
    engine: LockEngine,
    key: string,
    record = 'r',
    options: EnterOptions = replay,
  ): Promise<number> => {
    const entry = await engine.enter(key, options)
    if (entry.role !== 'holder') throw new Error(`not the holder: ${entry.role}`)
    expect(await entry.hold.settle(Buffer.from(record))).to.equal(true)
    return entry.hold.fence
  }
  const follow = async (engine: LockEngine, key: string, options: EnterOptions = replay) => {
    const entry = await engine.enter(key, options)
    if (entry.role !== 'follower') throw new Error(`not a follower: ${entry.role}`)
    return { record: Buffer.from(entry.record).toString(), ageMs: entry.ageMs, joined: entry.joined }
  }
  const enter = async (engine: LockEngine, key: string, options: EnterOptions = replay): Promise<Entry['role']> => {
    const entry = await engine.enter(key, options)
    if (entry.role === 'holder') await entry.hold.release()
    return entry.role
  }
  const countCommands = async (work: () => Promise<unknown>): Promise<number> => {
    await client.config('RESETSTAT')
    await work()
    const stats = await client.info('commandstats')
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
  }

  it('the first replay in a process costs one command, the others none', async () => {
    const [a, b] = [await makeEngine(), await makeEngine()]
    const key = makeKey()
    await leave(a, key, 'the record')
    for (const engine of [a, b]) {
      expect(await countCommands(() => follow(engine, key))).to.equal(1)
      expect(await countCommands(() => follow(engine, key))).to.equal(0)
    }
    expect((await follow(b, key)).record).to.equal('the record')
  })

  it('each one costs a command without the option', async () => {
    const a = await makeEngine({})
    const key = makeKey()
    await leave(a, key)
    expect(await countCommands(() => follow(a, key).then(() => follow(a, key)))).to.equal(2)
  })

  it('a record is told to be as old as it is', async () => {
    const [a, b] = [await makeEngine(), await makeEngine()]
    const key = makeKey()
    await leave(a, key)
    const leftAt = performance.now()
    await delay(50)
    await follow(b, key)
    await delay(50)
    for (const engine of [a, b]) {
      const leastMs = performance.now() - leftAt
      expect((await follow(engine, key)).ageMs).to.be.within(leastMs - 2, leastMs + 1_000)
    }
  })

  it('it ends when the record does', async () => {
    const [a, b] = [await makeEngine(), await makeEngine()]
    const key = makeKey()
    const options = { ...replay, ttlMs: 300 }
    const settledAt = performance.now()
    await leave(a, key, 'r', options)
    await delay(150)
    await follow(b, key, options)
    await delay(settledAt + 300 + 50 - performance.now())
    expect([await enter(a, key), await enter(b, key)]).to.deep.equal(['holder', 'holder'])
  })

  it('after maxAgeMs the store is asked again', async () => {
    const a = await makeEngine({ localCache: { maxBytes: 1_000_000, maxAgeMs: 300 } })
    const key = makeKey()
    await leave(a, key)
    await follow(a, key)
    await client.flushall()
    expect(await enter(a, key)).to.equal('follower')
    await until(async () => (await enter(a, key)) === 'holder')
  })

  it('forget drops it in every process, and what is left anew is what is replayed', async () => {
    const [a, b] = [await makeEngine(), await makeEngine()]
    const key = makeKey()
    const fence = await leave(a, key, 'old')
    for (const engine of [a, b]) await follow(engine, key)
    expect(await b.forget(key, fence)).to.equal(true)
    expect(await enter(b, key)).to.equal('holder')
    await until(async () => (await enter(a, key)) === 'holder')
    await leave(b, key, 'new')
    expect([(await follow(a, key)).record, (await follow(b, key)).record]).to.deep.equal(['new', 'new'])
  })

  it('a hold that ends the record drops it in every process', async () => {
    const [a, b] = [await makeEngine(), await makeEngine()]
    const key = makeKey()
    await leave(a, key)
    for (const engine of [a, b]) await follow(engine, key)
    expect(await enter(a, key, { duplicates: 'serialise' })).to.equal('holder')
    await until(async () => (await enter(b, key)) === 'holder')
    await until(async () => (await enter(a, key)) === 'holder')
  })

  it('another payload under the key is refused as ever', async () => {
    const a = await makeEngine()
    const key = makeKey()
    await leave(a, key, 'r', { ...replay, payload: 'one' })
    for (const _ of [1, 2]) expect(await enter(a, key, { ...replay, payload: 'one' })).to.equal('follower')
    const entry = await a.enter(key, { ...replay, payload: 'two' })
    expect(entry).to.deep.include({ role: 'refused', reason: 'mismatch' })
  })

  it('no more than maxBytes: the least recently used goes first, and what is larger is not kept', async () => {
    const a = await makeEngine({ localCache: { maxBytes: 5_000, maxAgeMs: 60_000 } })
    const [one, two, three] = [makeKey(), makeKey(), makeKey()]
    for (const key of [one, two]) {
      await leave(a, key, 'x'.repeat(2_000))
      await follow(a, key)
    }
    expect(await countCommands(() => follow(a, one))).to.equal(0)
    await leave(a, three, 'x'.repeat(2_000))
    await follow(a, three)
    expect(await countCommands(() => follow(a, one))).to.equal(0)
    expect(await countCommands(() => follow(a, two))).to.equal(1)
    const large = makeKey()
    await leave(a, large, 'x'.repeat(6_000))
    await follow(a, large)
    expect(await countCommands(() => follow(a, large))).to.equal(1)
  })

  it('while messages may be lost it is empty, and what was forgotten meanwhile is not replayed', async () => {
    const proxy = await FaultProxy.open(redis.port)
    closing.push(() => proxy.close())
    const a = await makeEngine()
    const b = await makeEngine({ localCache, commandTimeoutMs: 300 }, proxy.url)
    const key = makeKey()
    const fence = await leave(a, key)
    await follow(b, key)
    proxy.refuse()
    proxy.cut()
    // Nothing is answered from memory as soon as the loss is seen: without Redis there is no answer.
    await until(async () => (await b.enter(key, replay).catch((reason: unknown) => reason)) instanceof StoreError)
    expect(await a.forget(key, fence)).to.equal(true)
    proxy.heal()
    await until(async () => (await countListening()) === 2)
    expect(await enter(b, key)).to.equal('holder')
    await leave(a, key, 'again')
    expect((await follow(b, key)).record).to.equal('again')
    expect((await follow(b, key)).joined).to.equal(false)
    expect(await countCommands(() => follow(b, key))).to.equal(0)
  })

  it('works with a client of node-redis', async () => {
    const made = createClient({ url: redis.url })
    await made.connect()
    closing.push(() => made.close())
    const [a, b] = [await makeEngine(), await makeEngine({ localCache }, made as unknown as RedisConnection)]
    const key = makeKey()
    const fence = await leave(a, key)
    await follow(b, key)
    expect(await countCommands(() => follow(b, key))).to.equal(0)
    await a.forget(key, fence)
    await until(async () => (await enter(b, key)) === 'holder')
  })

  it('is refused for a client that cannot tell when it was cut off, and for options that are none', () => {
    const none = (): never => {
      throw new Error('not called')
    }
    const mute = { isCluster: false, send: none, sendAndWait: none, scan: none, listen: none, close: () => {} }
    expect(() => redisStore(mute, { localCache })).to.throw(TypeError, /localCache.*GLIDE/)
    for (const wrong of [true, {}, { maxBytes: 0, maxAgeMs: 1 }, { maxBytes: 1 }, { ...localCache, ttlMs: 1 }]) {
      expect(() => redisStore(redis.url, { localCache: wrong as never }), JSON.stringify(wrong)).to.throw(TypeError)
    }
  })
})
