// What others put under our names in Redis is no lock and no record.

import { type Entry, LockEngine } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { redisUrl } from '../support/redis.js'

describe('foreign data in Redis', () => {
  const prefix = `foreign-${process.pid}`
  const client = (): Redis => new Redis(redisUrl())
  const future = String(Date.now() + 1e9)
  const cases: readonly [string, (redis: Redis, name: string) => Promise<unknown>][] = [
    ['a string', (redis, name) => redis.set(name, 'x')],
    ['a list of waiters', (redis, name) => redis.lpush(`${name}:w`, 'x')],
    ['a holder without a lease', (redis, name) => redis.hset(name, 't', 'somebody')],
    ['a holder with no number for a lease', (redis, name) => redis.hset(name, 't', 'somebody', 'e', 'soon')],
    ['a lease of a thousand years', (redis, name) => redis.hset(name, 't', 'somebody', 'e', '1e20')],
    ['half a record', (redis, name) => redis.hset(name, 'v', future, 'k', future, 'c', '1')],
    ['a record without bytes', (redis, name) => redis.hset(name, 'v', future, 'k', future, 'c', '1', 'b', '1')],
    ['a fence that is none', (redis, name) => redis.hset(name, 'f', 'nan')],
  ]
  for (const [what, plant] of cases) {
    it(`${what} is treated as absent`, async () => {
      const redis = client()
      const store = redisStore(redisUrl(), { prefix })
      const engine = new LockEngine({ store })
      await plant(redis, `${prefix}:{=${encodeURIComponent(what).replaceAll('%', '')}}`)
      const key = encodeURIComponent(what).replaceAll('%', '')
      const entry: Entry = await engine.enter(key, { duplicates: 'replay', waitMs: 100 })
      expect(entry.role).to.equal('holder')
      if (entry.role === 'holder') expect(await entry.hold.release()).to.equal(true)
      await engine.close()
      await store.close()
      redis.disconnect()
    })
  }
})
