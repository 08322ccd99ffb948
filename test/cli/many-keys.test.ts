// With as many keys as a day of Idempotency-Keys leaves, the time that ls takes grows with their number and no faster, and watch can go on for days.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'
import { runCli, startCli } from './run.js'

const COUNT = 20_000

describe('dspinlock watch', function () {
  // Most of it is garbage collection, which takes Node 22 and 24 longer than Node 20. It comes first, because each look passes over all other keys.
  this.timeout(60_000)

  it('keeps nothing of what it has shown', async () => {
    const prefix = `test-${randomUUID()}`
    const store = redisStore(redisUrl(), { prefix })
    const engine = new LockEngine({ store })
    const keep = { duplicates: 'replay', ttlMs: 60_000 } as const
    // A quarter of a megabyte each time: 50 of them would fill the memory that is allowed, if they were kept.
    await Promise.all(Array.from({ length: 200 }, (_, n) => engine.run(`${n}${'鍵'.repeat(500)}`, async () => 1, keep)))
    await engine.close()
    await store.close()
    const child = startCli(
      ['watch', '--json', '--count', '70', '--interval', '0.001', '--url', redisUrl(), '--prefix', prefix],
      { NODE_OPTIONS: '--max-old-space-size=24' },
    )
    // Nobody needs what it shows, and to keep that takes longer than all the rest.
    child.stdout?.resume()
    const [err, [code]] = await Promise.all([text(child.stderr as Readable), once(child, 'exit')])
    expect([code, err]).to.deep.equal([0, ''])
  })
})

describe('dspinlock ls of many keys', function () {
  // Many times what it takes now, and half of what drawing the table took when each cell looked at all rows above.
  this.timeout(20_000)
  const prefix = `test-${randomUUID()}`
  let store: Store
  let engine: LockEngine

  before(async () => {
    store = redisStore(redisUrl(), { prefix })
    engine = new LockEngine({ store })
    const keep = { duplicates: 'replay', ttlMs: 60_000 } as const
    // On a terminal it is twice as wide as its length.
    await engine.run('鍵', async () => 1, keep)
    for (let at = 0; at < COUNT; at += 1_000) {
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => engine.run(`key ${at + n}`, async () => 1, keep)))
    }
  })
  after(async () => {
    await engine.close()
    await store.close()
  })

  it('has a line for each, with its columns below each other', async () => {
    const { code, out } = await runCli(['ls', '--url', redisUrl(), '--prefix', prefix])
    const [head = '', ...rows] = out.trimEnd().split('\n')
    expect([code, rows.length]).to.deep.equal([0, COUNT + 1])
    const column = head.indexOf('STATE')
    const misplaced = rows.filter(row => row.indexOf('settled') !== column - (row.includes('鍵') ? 1 : 0))
    expect(misplaced).to.deep.equal([])
  })
})
