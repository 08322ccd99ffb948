// What other programs write under our names in Redis is neither a lock nor a record.

import { type Entry, LockEngine } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { Redis } from 'ioredis'
import { serve } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { readRecord, spoilState, writeRecord } from '../support/redis-state.js'
import { noteTroubles } from '../support/troubles.js'

describe('foreign data in Redis', () => {
  const prefix = `foreign-${process.pid}`
  const client = (): Redis => new Redis(redisUrl())
  const RECORD = "settled, visible, kept, madeFor, bytes = 1, now + 60000, now + 60000, '', 'x'"
  const cases: readonly [string, (redis: Redis, name: string) => Promise<unknown>][] = [
    ['a string', (redis, name) => redis.set(name, 'x')],
    ['half a state', async (redis, name) => redis.set(name, (await redis.getBuffer(name))?.subarray(0, 30) ?? '')],
    ['a hash', (redis, name) => redis.del(name).then(() => redis.hset(name, 't', 'somebody'))],
    ['a list of waiters', (redis, name) => redis.lpush(`${name}:w`, 'x')],
    [
      'a waiter of another form',
      async (redis, name) => {
        await spoilState(redis, name, 'crowded = 1')
        await redis.zadd(`${name}:w`, 1, 'somebody')
      },
    ],
    ['another version', (redis, name) => spoilState(redis, name, "version, holder, ends = 208, 'a-1.1', now + 60000")],
    ['a holder without a lease', (redis, name) => spoilState(redis, name, "holder, ends = 'somebody', 0")],
    ['a lease of a thousand years', (redis, name) => spoilState(redis, name, "holder, ends = 'a-1.1', 1e20")],
    ['a lease that is no number', (redis, name) => spoilState(redis, name, "holder, ends = 'a-1.1', 0/0")],
    ['a fence that is none', (redis, name) => spoilState(redis, name, 'fence = 0/0')],
    ['a pass mark for ever', (redis, name) => spoilState(redis, name, 'passUntil = 1/0')],
    [
      'half a record',
      async (redis, name) => {
        await spoilState(redis, name, RECORD)
        await redis.set(name, (await redis.getBuffer(name))?.subarray(0, -1) ?? '')
      },
    ],
    ['a record from the future', (redis, name) => spoilState(redis, name, `${RECORD} settled = 1e18`)],
    ['a record for ever', (redis, name) => spoilState(redis, name, `${RECORD} visible = 1/0`)],
    ['a record kept for ever', (redis, name) => spoilState(redis, name, `${RECORD} visible, kept = 0, 1/0`)],
    ['endings of another form', (redis, name) => spoilState(redis, name, "endings = '; ;;x y'")],
  ]
  for (const [what, plant] of cases) {
    it(`${what} is treated as absent`, async () => {
      const redis = client()
      const store = redisStore(redisUrl(), { prefix })
      const engine = new LockEngine({ store })
      const key = encodeURIComponent(what).replaceAll('%', '')
      await engine.run(key, () => {})
      await plant(redis, `${prefix}:{=${key}}`)
      const entry: Entry = await engine.enter(key, { duplicates: 'replay', waitMs: 100 })
      expect(entry.role).to.equal('holder')
      if (entry.role === 'holder') expect(await entry.hold.release()).to.equal(true)
      await engine.close()
      await store.close()
      redis.disconnect()
    })
  }
})

describe('a record in Redis that no middleware wrote', () => {
  const cases: readonly [string, (record: Buffer) => Buffer][] = [
    ['text', () => Buffer.from('{"status":200,"headers":{"x":"y"}}')],
    ['nothing', () => Buffer.alloc(0)],
    ['half a record', record => record.subarray(0, 20)],
    ['one of another version', record => Buffer.from(record).fill(9, 2, 3)],
    ['a status that cannot be sent', record => Buffer.from(record).fill(0, 4, 6)],
  ]
  for (const [what, change] of cases) {
    it(`${what}: the handler runs, trouble is reported, and no answer is made from it`, async () => {
      const redis = new Redis(redisUrl())
      const prefix = `foreign-http-${process.pid}-${what.replaceAll(' ', '-')}`
      const store = redisStore(redisUrl(), { prefix })
      const { noted, stop } = noteTroubles('http')
      let runs = 0
      const app = express()
      app.get('/:what', dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
        res.send(`run ${String(++runs)}`)
      })
      const server = await serve(app)
      const path = `/${encodeURIComponent(what)}`
      expect((await server.ask(path)).body).to.equal('run 1')
      const [name] = (await redis.keys(`${prefix}:*`)).filter(found => found.endsWith('}'))
      const record = await readRecord(redis, String(name))
      expect(record, 'where the record is').to.be.instanceOf(Buffer)
      const changed = change(record as Buffer)
      await writeRecord(redis, String(name), changed)
      const answer = await server.ask(path)
      expect([answer.status, answer.body]).to.deep.equal([200, 'run 2'])
      expect(noted.map(({ operation }) => operation)).to.deep.equal(['decode'])
      expect((await server.ask(path)).body, 'the new record').to.equal('run 2')
      stop()
      await server.stop()
      await redis.del(String(name))
      await store.close()
      redis.disconnect()
    })
  }
})
