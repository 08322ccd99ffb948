// After 100 000 keys and 10 000 waiters, an idle process has its memory back, and Redis holds nothing that does not end.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import { atOnce } from '../support/at-once.js'
import type { SoakReport } from './soak-worker.js'

async function soak(...args: string[]): Promise<SoakReport> {
  const child = fork(new URL('./soak-worker.js', import.meta.url), args, { execArgv: ['--expose-gc'] })
  const [report] = (await once(child, 'message')) as [SoakReport]
  if (child.exitCode === null) await once(child, 'exit')
  return report
}

function judge({ heapBefore, heapAfter, keysAfter, waitersAtMost, refused, served }: SoakReport): void {
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
  console.log(`      heap ${mib(heapBefore)} before, ${mib(heapAfter)} after`)
  expect({ keysAfter, waitersAtMost, refused, served }).to.deep.equal({
    keysAfter: 0,
    waitersAtMost: 10_000,
    refused: 10,
    served: 10_000,
  })
  expect(heapAfter, 'heap').to.be.below(heapBefore * 1.1)
}

describe('soak', function () {
  this.timeout(240_000)
  let redis: RedisServer
  // Each waits for seconds until everything has ended.
  const reportOf = atOnce([() => soak(), () => soak(redis.url)])

  before(async () => {
    redis = await startRedisServer()
  })
  after(() => redis.stop())

  it('the memory store', async () => judge(await reportOf(0)))

  it('Redis', async () => {
    judge(await reportOf(1))
    const client = new Redis(redis.url)
    let keys = 0
    for await (const page of client.scanStream({ count: 1_000 }) as AsyncIterable<string[]>) {
      const pipeline = client.pipeline()
      for (const name of page) pipeline.pttl(name)
      const ttls = (await pipeline.exec()) ?? []
      keys += page.length
      // -2: the key has ended meanwhile; -1 would mean that it never ends.
      for (const [n, [, ttl]] of ttls.entries())
        expect(ttl, page[n]).to.satisfy((ms: number) => ms === -2 || (ms >= 0 && ms <= 70_000))
    }
    console.log(`      ${keys} keys in Redis, each with its end`)
    client.disconnect()
  })
})
