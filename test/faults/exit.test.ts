// Nothing in the library keeps a process alive that has nothing more to do.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'
import { sharedClusterNode } from '../support/redis-cluster.js'

const script = fileURLToPath(new URL('./idle-script.js', import.meta.url))

describe('a process that wants to exit', () => {
  const cases: readonly [string, () => string[], string][] = [
    ['the memory store', () => [], 'done\n'],
    ['Redis', () => [redisUrl()], 'done\n'],
    ['a Redis that is not there', () => ['redis://127.0.0.1:1', '500'], 'ERR_DSPINLOCK_STORE\n'],
  ]
  for (const [what, args, said] of cases) {
    it(`exits by itself, with an open engine on ${what}`, async () => {
      // Rejects if the process has to be killed.
      const { stdout } = await promisify(execFile)(process.execPath, [script, ...args()], { timeout: 8_000 })
      expect(stdout).to.equal(said)
    })
  }

  it('exits at once after it closed a store on a cluster', async () => {
    const { port } = await sharedClusterNode()
    const code = `
      import { redisStore } from '@dspinlock/redis'
      import { Cluster } from 'ioredis'
      const cluster = new Cluster([{ host: '127.0.0.1', port: ${port} }])
      const store = redisStore(cluster, { prefix: 'exit' })
      while ((await cluster.pubsub('CHANNELS', 'exit:*')).length === 0);
      await store.close()
      cluster.disconnect()
      const closedAt = performance.now()
      process.once('exit', () => console.log(performance.now() - closedAt))
    `
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code])
    expect(Number(stdout)).to.be.above(0).and.below(1_000)
  })
})
