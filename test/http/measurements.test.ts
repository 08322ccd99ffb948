// What is counted, and what is not, of holds that were released or lost, and of what follows from a store that failed.

import { LockEngine, memoryStore, publishTrouble } from '@dspinlock/core'
import { type Labels, type MeasurementSink, measure } from '@dspinlock/http/support'
import { expect } from 'chai'
import { holdOf, storeWith } from '../support/engine.js'
import { until } from '../support/http.js'

describe('measurements', () => {
  let counted: string[] = []
  let failed: string[] = []
  let stop = (): void => {}
  const engine = new LockEngine({ store: memoryStore() })
  const note =
    (what: string, label: string) =>
    (...given: readonly unknown[]): void => {
      const { route, ...labels } = given.at(-1) as Labels
      // Other tests of the process may still be ending.
      if (route === 'measured') counted.push(`${what} ${labels[label] ?? ''}`)
    }

  beforeEach(() => {
    counted = []
    const none = (): void => {}
    const sink: MeasurementSink = {
      countRequest: none,
      recordWait: none,
      recordHold: note('hold', 'how'),
      recordSettle: none,
      recordSize: note('size', ''),
      addHolds: none,
      addWaiters: none,
      countLostLease: note('lost', 'reason'),
      countStoreError: ({ operation = '' }) => failed.push(operation),
    }
    stop = measure(sink)
  })
  afterEach(() => stop())
  after(() => engine.close())

  const enter = async (options = {}, key = 'k') => holdOf(await engine.enter(key, { label: 'measured', ...options }))

  it('only a hold that left a record has a size', async () => {
    await (await enter()).release()
    expect(counted).to.deep.equal(['hold released'])
    await (await enter({ duplicates: 'reject', ttlMs: 1_000 }, 'kept')).settle(new Uint8Array(3))
    expect(counted).to.deep.equal(['hold released', 'size ', 'hold settled'])
  })

  it('a hold is lost because it took too long, or that is found when it ends', async () => {
    const store = storeWith({ release: () => ({ mine: false }) })
    const forgetful = new LockEngine({ store })
    await holdOf(await forgetful.enter('k', { label: 'measured' })).release()
    await forgetful.close()
    expect(counted).to.deep.equal(['hold lost', 'lost found-late'])
    const long = await enter({ maxHoldMs: 10 })
    await until(() => counted.length === 4, 'it is lost')
    expect(counted.slice(2)).to.deep.equal(['hold lost', 'lost max-hold'])
    await long.release()
  })

  it('what the middleware does after a store failed is not counted beside the failure', () => {
    // Errors have no route. Nothing of another test comes between, because nothing here is awaited.
    failed = []
    for (const operation of ['bypass', 'local', 'claim']) publishTrouble('http', operation, new Error('planned'))
    expect(failed).to.deep.equal(['claim'])
  })
})
