// Eight processes want one key: they are served in the order in which they came, nobody gets ahead of them, and dead ones cost little time.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { LockEngine, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { holdOf } from '../support/engine.js'
import { redisUrl } from '../support/redis.js'
import { untilSo } from '../support/redis-admin.js'
import type { Order, Report } from './contender.js'

const PROCESSES = 8
/** So long that only messages tell. */
const NEVER_MS = 60_000
/** An upper bound for the default `grantMs`. */
const GRANT_MS = 1_000

describe('fairness among eight processes', function () {
  this.timeout(30_000)
  let contenders: ChildProcess[]
  let store: Store
  let engine: LockEngine

  before(async () => {
    store = redisStore(redisUrl())
    engine = new LockEngine({ store, pollMs: NEVER_MS })
    contenders = Array.from({ length: PROCESSES }, () => fork(new URL('./contender.js', import.meta.url)))
    await Promise.all(contenders.map(contender => once(contender, 'message')))
  })
  after(async () => {
    for (const contender of contenders) contender.kill('SIGKILL')
    await engine.close()
    await store.close()
  })

  const start = async (n: number, order: Order): Promise<Report> => {
    const contender = contenders[n] as ChildProcess
    const report = once(contender, 'message')
    contender.send(order)
    return (await report)[0] as Report
  }
  /** All processes wait for `key`, one after another; each is done after one turn. */
  const queueUp = async (key: string, pollMs: number): Promise<Promise<Report>[]> => {
    const reports: Promise<Report>[] = []
    for (let n = 0; n < PROCESSES; n++) {
      reports.push(start(n, { key, forMs: 0, holdMs: 2, pollMs }))
      await untilSo('it waits', async () => (await engine.inspect(key))?.waiters === n + 1)
    }
    return reports
  }

  it('they are served in order of arrival, and a newcomer comes last', async () => {
    const key = `order-${process.pid}`
    const hold = holdOf(await engine.enter(key, { leaseMs: 60_000 }))
    const reports = await queueUp(key, NEVER_MS)
    await hold.release()
    const newcomer = holdOf(await engine.enter(key, { leaseMs: 60_000 }))
    const fences = (await Promise.all(reports)).map(({ fence }) => fence)
    expect([...fences, newcomer.fence]).to.deep.equal([...fences, newcomer.fence].sort((a, b) => a - b))
    expect(new Set(fences).size).to.equal(PROCESSES)
    await newcomer.release()
  })

  it("share it equally: Jain's index is above 0.95", async () => {
    const order = { key: `share-${process.pid}`, forMs: 2_000, holdMs: 1, pollMs: NEVER_MS }
    const turns = (await Promise.all(contenders.map((_, n) => start(n, order)))).map(report => report.turns)
    const sum = turns.reduce((a, b) => a + b, 0)
    const jain = sum ** 2 / (PROCESSES * turns.reduce((a, b) => a + b ** 2, 0))
    console.log(`      Jain's index ${jain.toFixed(4)}: ${turns.join(', ')} turns`)
    expect(jain).to.be.above(0.95)
  })

  // The last, because processes die in it.
  it('two dead ones and a stalled one among them cost less than the grant time, and no lease', async () => {
    const key = `dead-${process.pid}`
    const hold = holdOf(await engine.enter(key, { leaseMs: 60_000 }))
    const reports = await queueUp(key, 1_000)
    for (const n of [1, 2]) {
      contenders[n]?.kill('SIGKILL')
      await once(contenders[n] as ChildProcess, 'exit')
    }
    contenders[4]?.kill('SIGSTOP')
    await hold.release()
    const living = [0, 3, 5, 6, 7]
    const fences = (await Promise.all(living.map(async n => reports[n]))).map(report => report?.fence ?? 0)
    expect(fences).to.deep.equal([...fences].sort((a, b) => a - b))
    // A fence is the server's time at the grant, in microseconds. Taken between the neighbours of the dead processes, and of the stalled one:
    const [first = 0, afterDead = 0, afterStalled = 0] = fences.map(fence => fence / 1_000)
    const [deadMs, stalledMs] = [afterDead - first, afterStalled - afterDead]
    console.log(`      two dead processes cost ${deadMs.toFixed(0)} ms, a stalled one ${stalledMs.toFixed(0)} ms`)
    expect(deadMs).to.be.below(GRANT_MS)
    // In addition to the grant: a turn of 2 ms and a round trip, on a machine that may be busy.
    expect(stalledMs).to.be.below(GRANT_MS + 500)
  })
})
