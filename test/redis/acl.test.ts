// The Redis user that docs/redis.md describes may do everything the store does, and a user without INFO or SCAN can still lock.

import { readFileSync } from 'node:fs'
import { LockEngine, type Store } from '@dspinlock/core'
import { storeContract } from '@dspinlock/core/store-contract'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { askServer, untilSo } from '../support/redis-admin.js'

describe('the Redis user of the docs', () => {
  let redis: RedisServer
  let url: string
  let rules: string[]

  before(async () => {
    redis = await startRedisServer()
    const docs = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8')
    const [line] = /^ACL SETUSER (?:.*\\\n)*.*$/m.exec(docs) ?? ['']
    rules = line.replaceAll('\\\n', ' ').split(/\s+/).slice(2)
    expect(rules[0], 'the name in the docs').to.equal('dspinlock')
    await askServer(redis.port, 'ACL', 'SETUSER', ...rules)
    const password = rules.find(rule => rule.startsWith('>'))?.slice(1)
    url = `redis://dspinlock:${password}@127.0.0.1:${redis.port}`
  })
  after(() => redis.stop())

  for (const one of storeContract) it(one.name, () => one.run({ makeStore: () => redisStore(url) }))

  it('may do what an error names that says what to give', async () => {
    await askServer(redis.port, 'ACL', 'SETUSER', 'none', 'on', '>pw')
    const store = redisStore(`redis://none:pw@127.0.0.1:${redis.port}`)
    const engine = new LockEngine({ store })
    const { message } = await failure(engine.enter('k'))
    await engine.close()
    await store.close()
    expect(message.match(/\+[\w|]+/g)).to.deep.equal(rules.filter(rule => rule.startsWith('+')))
  })

  it('may wait for replicas, and nothing beside the prefix', async () => {
    const store = redisStore(url, { minReplicas: 1, replicasTimeoutMs: 20 })
    const engine = new LockEngine({ store })
    expect((await failure(engine.enter('k'))).message).to.include('0 of the 1 replicas')
    await engine.close()
    await store.close()
    const elsewhere: Store = redisStore(url, { prefix: 'elsewhere' })
    const outside = new LockEngine({ store: elsewhere })
    expect((await failure(outside.enter('k'))).message).to.match(/NOPERM.*key and channel pattern of the prefix/)
    await outside.close()
    await elsewhere.close()
  })

  it('without INFO, SCAN, WAIT and PUBSUB it locks and hands over all the same', async () => {
    const few = rules.filter(rule => !['+info', '+scan', '+wait', '+ping', '+pubsub|numsub'].includes(rule))
    await askServer(redis.port, 'ACL', 'SETUSER', 'few', 'reset', ...few.slice(1).filter(rule => rule !== 'reset'))
    const store = redisStore(url.replace('//dspinlock:', '//few:'))
    const engine = new LockEngine({ store })
    const first = holdOf(await engine.enter('few'))
    const otherStore = redisStore(url.replace('//dspinlock:', '//few:'))
    const other = new LockEngine({ store: otherStore, pollMs: 60_000 })
    const turn = other.enter('few', { waitMs: 10_000 })
    await untilSo('it waits', async () => (await engine.inspect('few'))?.waiters === 1)
    await first.release()
    await holdOf(await turn).release()
    await other.close()
    await otherStore.close()
    const list = async (): Promise<void> => {
      for await (const _state of store.list());
    }
    expect((await failure(list())).message).to.include('NOPERM')
    await engine.close()
    await store.close()
  })
})
