// Keys that are named by their digest in Redis can be listed and inspected, too.

import { randomUUID } from 'node:crypto'
import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'
import { redisUrl } from '../support/redis.js'

describe('long keys', () => {
  let store: Store
  let engine: LockEngine

  beforeEach(() => {
    store = redisStore(redisUrl(), { prefix: `test-${randomUUID()}` })
    engine = new LockEngine({ store })
  })
  afterEach(async () => {
    await engine.close()
    await store.close()
  })

  it('are listed by their digest, beside short ones', async () => {
    const holds = [holdOf(await engine.enter('k'.repeat(600))), holdOf(await engine.enter('short'))]
    const listed: [key: string, state: string, fence: number][] = []
    for await (const { key, state, fence } of store.list()) listed.push([key, state, fence])
    listed.sort(([, , a], [, , b]) => a - b)
    expect(listed[0]?.[0]).to.match(/^#[0-9a-f]{64}$/)
    expect(listed.map(([, ...rest]) => rest)).to.deep.equal(holds.map(({ fence }) => ['held', fence]))
    for (const hold of holds) await hold.release()
  })
})
