// A Redis user who may not do all that the scripts do: which command it was, and what to give.

import { randomUUID } from 'node:crypto'
import { LockEngine } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { failure } from '../support/failure.js'
import { redisUrl } from '../support/redis.js'

describe('a Redis user who may not', () => {
  let admin: Redis
  const user = `u${randomUUID()}`

  before(() => {
    admin = new Redis(redisUrl())
  })
  after(async () => {
    await admin.call('ACL', 'DELUSER', user)
    admin.disconnect()
  })

  for (const [what, rules] of [
    ['call scripts', ['~*', '&*', '+@all', '-eval', '-evalsha']],
    ['use a command inside of them', ['~*', '&*', '+@all', '-set']],
    ['touch these keys', ['~other:*', '&*', '+@all']],
  ] as const) {
    it(what, async () => {
      await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', ...rules)
      const url = new URL(redisUrl())
      url.username = user
      url.password = 'pw'
      const store = redisStore(url.href, { prefix: `test-${randomUUID()}` })
      const engine = new LockEngine({ store })
      const { message } = await failure(engine.enter('k'))
      await engine.close()
      await store.close()
      expect(message).to.include('failed in claim').and.include('give the Redis user +eval +evalsha')
    })
  }
})
