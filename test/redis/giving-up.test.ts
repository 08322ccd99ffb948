// A waiter that gives up while Redis refuses to be told does not keep the others waiting afterwards.

import { channels, LockEngine, type TroubleEvent } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { failure, holdOf } from '../support/engine.js'
import { askServer, untilSo } from '../support/redis-admin.js'

/** Long enough that nobody gets the key because a hand-over has run out, or because it polls. */
const [grantMs, pollMs, leaseMs] = [60_000, 60_000, 60_000]
/** Less than the runner's patience. */
const waitMs = 10_000

describe('a waiter that gives up', () => {
  let redis: RedisServer
  before(async () => {
    redis = await startRedisServer()
  })
  after(() => redis.stop())

  /** Resolves when a waiter could not tell Redis that it has left. */
  const leaveFailed = (): Promise<void> =>
    new Promise(resolve => {
      const listener = (message: unknown): void => {
        if ((message as TroubleEvent).operation !== 'leave') return
        channels.trouble.unsubscribe(listener)
        resolve()
      }
      channels.trouble.subscribe(listener)
    })

  it('while Redis refuses all writes: the key that it is handed later goes to the next one at once', async () => {
    const stores = [10_000, 50, 10_000].map(commandTimeoutMs => redisStore(redis.url, { commandTimeoutMs, grantMs }))
    const engines = stores.map(store => new LockEngine({ store, pollMs }))
    const [holder, leaver, next] = engines as [LockEngine, LockEngine, LockEngine]
    const waiters = async (): Promise<number | undefined> => (await holder.inspect('k'))?.waiters
    await Promise.all(engines.map(async (engine, n) => holdOf(await engine.enter(`warm ${n}`)).release()))
    const hold = holdOf(await holder.enter('k', { leaseMs }))
    const abort = new AbortController()
    const left = failure(leaver.enter('k', { signal: abort.signal, waitMs }))
    await untilSo('one waits', async () => (await waiters()) === 1)

    await askServer(redis.port, 'CONFIG', 'SET', 'min-replicas-to-write', 1)
    const failed = leaveFailed()
    abort.abort()
    await Promise.all([left, failed])
    await askServer(redis.port, 'CONFIG', 'SET', 'min-replicas-to-write', 0)

    const entry = next.enter('k', { waitMs })
    await untilSo('both wait', async () => (await waiters()) === 2)
    expect(await hold.release()).to.equal(true)
    await holdOf(await entry).release()
    await Promise.all(engines.map(engine => engine.close()))
    for (const store of stores) await store.close()
  })
})
