// Mutual exclusion between processes on a real Redis, even if one of them is killed.

import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSpinlocks, HashDSpinlock } from '@dspinlock/core'
import { expect } from 'chai'
import { redisUrl } from '../support/redis.js'

const PROCESSES = 8
const ROUNDS = 100

describe('spinlock: exclusion between processes', () => {
  const children: ChildProcess[] = []
  const start = async (script: string, ...args: string[]): Promise<ChildProcess> => {
    const child = fork(new URL(script, import.meta.url), args)
    children.push(child)
    await once(child, 'message')
    return child
  }
  afterEach(async () => {
    await Promise.all(
      children.splice(0).map(async child => {
        if (child.exitCode !== null || child.signalCode !== null) return
        const gone = once(child, 'exit')
        if (child.connected) child.disconnect()
        await gone
      }),
    )
  })
  after(() => closeSpinlocks())

  it(`${PROCESSES} processes × ${ROUNDS} rounds behind a barrier: no overlaps, no errors, growing fences`, async () => {
    const counter = `exclusion-${randomUUID()}`
    const all = await Promise.all(Array.from({ length: PROCESSES }, () => start('./contender.js', redisUrl(), counter)))
    let highest = 0
    for (let n = 0; n < ROUNDS; n++) {
      const answers = all.map(async child => ((await once(child, 'message')) as [Record<string, unknown>])[0])
      for (const child of all) child.send('go')
      const outcomes = await Promise.all(answers)
      expect(outcomes.filter(outcome => outcome['overlap'] !== false)).to.deep.equal([])
      const fences = outcomes.map(outcome => outcome['fence'] as number)
      expect(new Set(fences).size).to.equal(PROCESSES)
      expect(Math.min(...fences)).to.be.above(highest)
      highest = Math.max(...fences)
    }
  }).timeout(60_000)

  it('a killed holder costs a lease and not maxBlockMs, and its fence is behind', async () => {
    const value = `killed-${randomUUID()}`
    const child = fork(new URL('./holder.js', import.meta.url), [redisUrl(), value])
    children.push(child)
    const [fence] = (await once(child, 'message')) as [number]
    const lock = new HashDSpinlock(value, { redisParams: { url: redisUrl() } })
    const acquired = lock.acquire()
    child.kill('SIGKILL')
    await once(child, 'exit')
    const startedAt = performance.now()
    await acquired
    expect(performance.now() - startedAt).to.be.below(2_500)
    expect(lock.fence).to.be.above(fence)
    await lock.release()
  })
})
