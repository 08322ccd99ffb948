// Records kept in the process: replays cost no command, and last no longer than the record exists.

import { setTimeout as delay } from 'node:timers/promises'
import {
  ClosedError,
  channels,
  type EnterEvent,
  type EnterOptions,
  type EnterTrace,
  type Entry,
  LockEngine,
  Policy,
  StoreError,
  tracing,
} from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { type RedisConnection, type RedisStoreOptions, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import express from 'express'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { failure } from '../support/failure.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { serve } from '../support/http.js'
import { hear } from '../support/tracing.js'

const replay = { duplicates: 'replay', ttlMs: 60_000 } as const
const replayPolicy = new Policy(replay)
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
    // Redis notices a closed connection a little later, and the next test counts the listeners.
    await until(async () => (await countListening()) === 0)
  })
  after(async () => {
    client.disconnect()
    await redis.stop()
  })

  const makeKey = (): string => `key-${++keys}`

  /** An engine with a store of its own, as in another process, that is listening already. */
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

  /** An engine whose commands do not wait for the messages that it is sent. */
  const makeListeningApart = async () => {
    const proxy = await FaultProxy.open(redis.port)
    closing.push(() => proxy.close())
    const own = new Redis(redis.url)
    closing.push(() => own.disconnect())
    const duplicate = own.duplicate.bind(own)
    own.duplicate = options => duplicate({ ...options, port: proxy.port })
    return { a: await makeEngine({ localCache }, own), own, delayMessages: () => proxy.delay(1_000) }
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

  it('the age given for a record is its real age', async () => {
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

  it('a record that was fetched while forget had to try again is gone once it returns, before the message of it', async () => {
    const { a, own, delayMessages } = await makeListeningApart()
    const key = makeKey()
    const fence = await leave(a, key)
    await follow(a, key)
    delayMessages()
    let isRefused = false
    const commands = own as unknown as { evalshaBuffer?: () => Promise<never> }
    commands.evalshaBuffer = async () => {
      isRefused = true
      // That of the prototype again.
      delete commands.evalshaBuffer
      throw new Error('LOADING Redis is loading the dataset in memory')
    }
    const forgetting = a.forget(key, fence)
    await until(() => isRefused)
    await follow(a, key)
    expect(await forgetting).to.equal(true)
    expect(await enter(a, key)).to.equal('holder')
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

  it('a hold that ends the record drops it at once in its own process, before the message of it', async () => {
    const { a, delayMessages } = await makeListeningApart()
    const handOn = async (key: string): Promise<void> => {
      const first = await a.enter(key)
      const second = a.enter(key)
      if (first.role === 'holder') await first.hold.release()
      const entry = await second
      if (entry.role === 'holder') await entry.hold.release()
    }
    delayMessages()
    for (const hold of [(key: string) => enter(a, key, {}), handOn]) {
      const key = makeKey()
      await leave(a, key)
      await follow(a, key)
      await hold(key)
      expect(await enter(a, key)).to.equal('holder')
    }
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
    // From the moment when the loss is noticed, nothing is answered from memory: without Redis there is no answer.
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

  it('works with a client of ioredis that puts a prefix before each key', async () => {
    const own = new Redis(redis.url, { keyPrefix: 'mine:' })
    closing.push(() => own.disconnect())
    const [a, b] = [await makeEngine({ localCache }, own), await makeEngine({ localCache }, own)]
    const key = makeKey()
    const fence = await leave(a, key)
    await follow(a, key)
    expect(await b.forget(key, fence)).to.equal(true)
    await until(async () => (await enter(a, key)) === 'holder')
  })

  it('works with a client of node-redis', async () => {
    const made = createClient({ url: redis.url })
    await made.connect()
    closing.push(() => made.close())
    const [a, b] = [await makeEngine(), await makeEngine({ localCache }, made)]
    const key = makeKey()
    const fence = await leave(a, key)
    await follow(b, key)
    expect(await countCommands(() => follow(b, key))).to.equal(0)
    await a.forget(key, fence)
    await until(async () => (await enter(b, key)) === 'holder')
  })

  describe('answered in the turn of the call', () => {
    /** An engine that has the record of `key` in its process. */
    const makeKnowing = async (options: EnterOptions = replay): Promise<{ engine: LockEngine; key: string }> => {
      const engine = await makeEngine()
      const key = makeKey()
      await leave(engine, key, 'r', options)
      await follow(engine, key, options)
      return { engine, key }
    }
    const recall = (engine: LockEngine, key: string, options: EnterOptions = replay): Entry | undefined =>
      engine.enterAtOnce(key, new Policy(options))
    /** What is published about `key` meanwhile, without how long anything took. */
    const listen = async (key: string, work: () => unknown) => {
      const ear = hear<EnterTrace>(tracing as never, message => message.key === key)
      const events: unknown[] = []
      const note = (message: unknown): void => {
        const { waitedMs, ...rest } = message as EnterEvent
        if (rest.key === key) events.push({ ...rest, isShort: waitedMs >= 0 && waitedMs < 1_000 })
      }
      channels.enter.subscribe(note)
      try {
        await work()
      } finally {
        ear.stop()
        channels.enter.unsubscribe(note)
      }
      return { traces: ear.heard.map(({ on, message }) => ({ on, ...message })), events }
    }

    it('a record that is kept, with the same answer as otherwise, and nothing is left behind', async () => {
      const [a, other] = [await makeEngine(), await makeEngine({})]
      const key = makeKey()
      expect(recall(a, key)).to.equal(undefined)
      await leave(a, key)
      const leftAt = performance.now()
      for (const engine of [a, other]) {
        expect(recall(engine, key)).to.equal(undefined)
        await follow(engine, key)
      }
      expect(recall(other, key)).to.equal(undefined)
      await delay(20)
      const leastMs = performance.now() - leftAt
      const known = recall(a, key)
      if (known?.role !== 'follower') throw new Error(`not a follower: ${known?.role}`)
      const { ageMs, record, ...rest } = known
      const { ageMs: _, record: __, ...asked } = (await other.enter(key, replay)) as typeof known
      expect(rest).to.deep.equal(asked)
      expect(Buffer.from(record).toString()).to.equal('r')
      expect(ageMs).to.be.within(leastMs - 2, leastMs + 1_000)
      expect([a.keys, a.waiters]).to.deep.equal([0, 0])
    })

    it('the same is published as for a call that waits for its answer', async () => {
      const { engine, key } = await makeKnowing()
      const call = { label: 'reports' }
      const asked = await listen(key, () => engine.enter(key, replayPolicy, call))
      const recalled = await listen(key, () => engine.enterAtOnce(key, replayPolicy, call))
      expect(recalled).to.deep.equal(asked)
      expect(recalled.events).to.deep.equal([
        { key, role: 'follower', reason: undefined, error: undefined, isShort: true },
      ])
      expect(recalled.traces.at(-1)).to.include({ on: 'enter asyncEnd', label: 'reports', role: 'follower' })
      // An answer that is not there at once is published only when it comes.
      await engine.forget(key, (await engine.inspect(key))?.fence ?? 0)
      const missed = await listen(key, () => expect(recall(engine, key)).to.equal(undefined))
      expect(missed).to.deep.equal({ traces: [], events: [] })
    })

    it('duplicates that are refused are refused at once', async () => {
      const { engine, key } = await makeKnowing()
      const reject = { duplicates: 'reject', ttlMs: 60_000 } as const
      const refused = { role: 'refused', reason: 'settled', retryAfterMs: 0 }
      expect(recall(engine, key, reject)).to.deep.equal(refused)
      expect(await engine.enter(key, reject)).to.deep.equal(refused)
    })

    it('not while somebody in this process asks for the key, holds it or waits for it', async () => {
      const { engine, key } = await makeKnowing()
      const turn = engine.enter(key, { duplicates: 'serialise' })
      // Nothing was sent to Redis yet, so the record is still kept.
      expect(recall(engine, key)).to.equal(undefined)
      const entry = await turn
      if (entry.role !== 'holder') throw new Error(`not the holder: ${entry.role}`)
      expect(recall(engine, key)).to.equal(undefined)
      const next = engine.enter(key, replay)
      expect(recall(engine, key)).to.equal(undefined)
      await entry.hold.release()
      const following = await next
      if (following.role !== 'holder') throw new Error(`not the holder: ${following.role}`)
      await following.hold.release()
    })

    it('not to a caller that wants a turn, or has another payload', async () => {
      const { engine, key } = await makeKnowing({ ...replay, payload: 'one' })
      expect(recall(engine, key, { duplicates: 'serialise' })).to.equal(undefined)
      expect(engine.enterAtOnce(key, replayPolicy, { payload: 'two' })).to.equal(undefined)
      expect(await engine.enter(key, { ...replay, payload: 'two' })).to.include({ reason: 'mismatch' })
      expect(engine.enterAtOnce(key, replayPolicy, { payload: 'one' })?.role).to.equal('follower')
    })

    it('not once the record ended', async () => {
      const { engine, key } = await makeKnowing({ ...replay, ttlMs: 300 })
      expect(recall(engine, key)?.role).to.equal('follower')
      await until(() => recall(engine, key) === undefined)
      await until(async () => (await enter(engine, key)) === 'holder')
    })

    it('not once it is older than maxAgeMs', async () => {
      const engine = await makeEngine({ localCache: { ...localCache, maxAgeMs: 100 } })
      const key = makeKey()
      await leave(engine, key)
      await follow(engine, key)
      await until(() => recall(engine, key) === undefined)
      expect(await countCommands(() => follow(engine, key))).to.equal(1)
    })

    it('not once it was forgotten: here at once, and elsewhere as soon as the message arrives', async () => {
      const { engine, key } = await makeKnowing()
      const b = await makeEngine()
      await follow(b, key)
      const fence = (await engine.inspect(key))?.fence ?? 0
      const forgetting = b.forget(key, fence)
      expect(recall(b, key)).to.equal(undefined)
      expect(await forgetting).to.equal(true)
      await until(() => recall(engine, key) === undefined)
    })

    it('not while messages may be lost', async () => {
      const proxy = await FaultProxy.open(redis.port)
      closing.push(() => proxy.close())
      const engine = await makeEngine({ localCache, commandTimeoutMs: 300 }, proxy.url)
      const key = makeKey()
      await leave(engine, key)
      await follow(engine, key)
      expect(recall(engine, key)?.role).to.equal('follower')
      proxy.refuse()
      proxy.cut()
      await until(() => recall(engine, key) === undefined)
      expect(await failure(engine.enter(key, replay))).to.be.instanceOf(StoreError)
      proxy.heal()
    })

    it('not by an engine or a store that is closed, and its callers are told as ever', async () => {
      const [one, two] = [await makeKnowing(), await makeKnowing()]
      for (const { engine, key } of [one, two]) expect(recall(engine, key)?.role).to.equal('follower')
      await one.engine.close()
      await two.engine.store.close()
      for (const { engine, key } of [one, two]) expect(recall(engine, key)).to.equal(undefined)
      for (const { engine, key } of [one, two])
        expect(await failure(engine.enter(key, replay))).to.be.instanceOf(ClosedError)
    })

    it('over HTTP: no command, and the answer that Redis would have led to', async () => {
      const { store } = await makeEngine()
      const app = express()
      let runs = 0
      app.get(
        '/',
        dspinlock({ store, ...replay }),
        (_req, res) => void res.set('X-Of', 'the handler').json({ runs: ++runs }),
      )
      const server = await serve(app)
      closing.push(() => server.stop())
      const ask = async () => {
        const { status, message, headers, body } = await server.ask('/')
        const { date, age, ...rest } = headers
        return { answer: { status, message, headers: rest, body }, age, date }
      }

      const first = await ask()
      const asked = await ask()
      let known = asked
      expect(await countCommands(async () => (known = await ask()))).to.equal(0)
      expect(known.answer).to.deep.equal(asked.answer)
      expect(known.answer.headers).to.include({ 'x-of': 'the handler', 'cache-status': 'dspinlock; hit' })
      expect([known.answer.body, first.answer.body, runs]).to.deep.equal(['{"runs":1}', '{"runs":1}', 1])
      expect(known.date).to.be.a('string')
      expect(Number(known.age)).to.be.at.least(Number(asked.age))
      await until(async () => (await ask()).age === '1')
    })
  })

  it('a malformed record in its memory makes nothing run again that was done meanwhile', async () => {
    const { a, delayMessages } = await makeListeningApart()
    const b = await makeEngine({})
    let runs = 0
    const makeServer = async (engine: LockEngine) => {
      const app = express()
      app.post('/', dspinlock({ engine, ...replay }), (_req, res) => void res.send(`run ${++runs}`))
      const server = await serve(app)
      closing.push(() => server.stop())
      return async () => (await server.ask('/', { method: 'POST', headers: { host: 'h' } })).body
    }
    const [askA, askB] = [await makeServer(a), await makeServer(b)]
    await client.flushall()
    expect(await askB()).to.equal('run 1')
    const forget = async (): Promise<string> => {
      for await (const { key, fence } of b.store.list()) {
        await b.forget(key, fence)
        return key
      }
      throw new Error('there is none')
    }
    const key = await forget()
    await leave(b, key, 'malformed')
    await follow(a, key)
    delayMessages()
    await forget()
    expect([await askB(), await askA(), runs]).to.deep.equal(['run 2', 'run 2', 2])
  })

  it('is refused for a client that cannot tell when it was cut off, and for wrong options', () => {
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
