// Odd or wrong keys and options on Redis: they work, or are refused with a remedy, and leave nothing locked.

import { randomUUID } from 'node:crypto'
import { channels, LockEngine, type Store, type TroubleEvent } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { redisUrl } from '../support/redis.js'

describe('bad input on Redis', () => {
  let prefix: string
  let store: Store
  let engine: LockEngine
  let redis: Redis

  beforeEach(() => {
    prefix = `bad-${randomUUID()}`
    store = redisStore(redisUrl(), { prefix })
    engine = new LockEngine({ store })
    redis = new Redis(redisUrl())
  })
  afterEach(async () => {
    await engine.close()
    await store.close()
    redis.disconnect()
  })

  const odd: readonly (readonly [string, string])[] = [
    ['an empty key', ''],
    ['braces', '{}{a}b}{'],
    ['a lone surrogate', 'a\ud800b'],
    ['another lone surrogate', 'a\udfffb'],
    ['what a surrogate is replaced by elsewhere', 'a\ufffdb'],
    ['a NUL and a newline', 'a\0\nb'],
    ['bytes as latin1', Buffer.from([0xff, 0xfe, 0x80]).toString('latin1')],
    ['a key at the limit', 'k'.repeat(1_048_576)],
  ]
  for (const [what, key] of odd) {
    it(`${what}: excludes, is found again by inspect and list, and is freed`, async () => {
      const hold = holdOf(await engine.enter(key))
      expect(await engine.enter(key, { duplicates: 'reject' })).to.include({ role: 'refused' })
      expect((await engine.inspect(key))?.state).to.equal('held')
      const listed: string[] = []
      for await (const state of store.list()) listed.push(state.key)
      expect(listed).to.have.length(1)
      if (key.length <= 512) expect(listed).to.deep.equal([key])
      // All names of one key have one hash tag, so that a cluster keeps them together.
      const names = await redis.keys(`${prefix}:*`)
      expect(new Set(names.map(name => /\{[^}]*\}/.exec(name)?.[0])).size).to.equal(1)
      await hold.release()
      expect((await engine.inspect(key))?.state ?? 'free').to.equal('free')
    })
  }

  it('odd keys are different keys', async () => {
    const holds = await Promise.all(odd.map(([, key]) => engine.enter(key, { duplicates: 'reject' })))
    for (const hold of holds) await holdOf(hold).release()
  })

  it('a key of 10 MB is refused before anything is sent, with the limit and what to do', async () => {
    const error = await failure(engine.enter('k'.repeat(10 * 1024 * 1024)))
    expect(error).to.be.instanceOf(TypeError)
    expect(error.message).to.match(/at most 1048576 characters.*10485760; use its digest/)
    expect(await redis.keys(`${prefix}:*`)).to.deep.equal([])
  })

  for (const key of [undefined, null, 7, Buffer.from([0xff])]) {
    it(`a key that is ${Buffer.isBuffer(key) ? 'bytes' : String(key)} is refused, with what to do about bytes`, async () => {
      const error = await failure(engine.enter(key as unknown as string))
      expect(error).to.be.instanceOf(TypeError)
      expect(error.message).to.match(/key must be a string; encode bytes, for example as hex/)
      expect(await redis.keys(`${prefix}:*`)).to.deep.equal([])
    })
  }

  it('payloads that differ only in lone surrogates mismatch', async () => {
    const hold = holdOf(await engine.enter('k', { duplicates: 'replay', payload: '\ud800' }))
    const other = new LockEngine({ store })
    const entry = await other.enter('k', { duplicates: 'replay', payload: '\ud801', waitMs: 100 })
    expect(entry).to.include({ role: 'refused', reason: 'mismatch' })
    await other.close()
    await hold.release()
  })

  it('a lease of 1 ms is refused with the shortest that makes sense', async () => {
    const error = await failure(engine.enter('k', { leaseMs: 1 }))
    expect(error).to.be.instanceOf(TypeError)
    expect(error.message).to.match(/leaseMs must be a whole number, 10 to .* received 1$/)
    expect(await redis.keys(`${prefix}:*`)).to.deep.equal([])
  })

  it('the shortest lease on a Redis that is slower than that: an error that says so, and nothing stays locked', async () => {
    const proxy = await FaultProxy.open(Number(new URL(redisUrl()).port))
    const slowStore = redisStore(proxy.url, { prefix })
    const slow = new LockEngine({ store: slowStore })
    await holdOf(await slow.enter('warm')).release()
    proxy.delay(30)
    const error = await failure(slow.enter('k', { leaseMs: 10 }))
    expect(error.message).to.match(/longer than the lease of 10 ms.*raise leaseMs/)
    proxy.heal()
    const hold = holdOf(await engine.enter('k', { waitMs: 1_000 }))
    await hold.release()
    await slow.close()
    await slowStore.close()
    await proxy.close()
  })

  it('a Redis that is too old: found at connect, and every operation says which is the oldest that works', async () => {
    const proxy = await FaultProxy.open(Number(new URL(redisUrl()).port))
    const { redis_version: version = '' } = Object.fromEntries(
      (await redis.info('server')).split('\r\n').map(line => line.split(':')),
    ) as Record<string, string>
    // Has the same length, because the reply says how long it is.
    const old = `5${version.slice(1)}`
    proxy.rewriteReply = reply =>
      Buffer.from(reply.toString('latin1').replace(`redis_version:${version}`, `redis_version:${old}`), 'latin1')
    let onTrouble = (_event: unknown): void => {}
    const told = new Promise<TroubleEvent>(resolve => {
      onTrouble = event => resolve(event as TroubleEvent)
    })
    channels.trouble.subscribe(onTrouble)
    const oldStore = redisStore(proxy.url, { prefix })
    expect(String((await told).error)).to.include('the oldest that works is 6.2')
    channels.trouble.unsubscribe(onTrouble)
    const onOld = new LockEngine({ store: oldStore })
    const error = await failure(onOld.enter('k'))
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE')
    expect(error.message).to.include(
      `the server is Redis ${old}, and the oldest that works is 6.2; use a newer Redis, or Valkey`,
    )
    expect(await redis.keys(`${prefix}:*`)).to.deep.equal([])
    await onOld.close()
    await oldStore.close()
    await proxy.close()
  })

  for (const [option, value, message] of [
    ['minReplicas', -1, /minReplicas must be .*received -1/],
    ['minReplicas', 1.5, /minReplicas must be .*received 1.5/],
    ['grantMs', 0, /grantMs must be .*received 0/],
    ['replicasTimeoutMs', 0, /replicasTimeoutMs must be .*received 0/],
  ] as const) {
    it(`${option}: ${value} is a TypeError at start`, () => {
      expect(() => redisStore(redisUrl(), { [option]: value })).to.throw(TypeError, message)
    })
  }

  it('replicasTimeoutMs that leaves no time for the command is a TypeError at start', () => {
    const options = { minReplicas: 1, replicasTimeoutMs: 2_000 }
    expect(() => redisStore(redisUrl(), options)).to.throw(
      TypeError,
      /replicasTimeoutMs must be less than commandTimeoutMs \(2000\)/,
    )
  })
})
