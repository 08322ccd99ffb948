// Taking a key away from its holder, records left by callers that take turns, and how often a caller polls.

import { type Entry, type Hold, LockEngine, memoryStore, Policy } from '@dspinlock/core'
import { expect } from 'chai'

function holdOf(entry: Entry): Hold {
  if (entry.role !== 'holder') throw new Error(`expected to hold, but was ${entry.role}`)
  return entry.hold
}

describe('forgetting by fence', () => {
  it('tells the holder in this process at once, and the next one gets the key', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const first = holdOf(await engine.enter('k'))
    const { signal } = first
    const next = engine.enter('k')
    expect(await engine.forget('k', first.fence)).to.equal(true)
    expect((signal.reason as { code: string }).code).to.equal('ERR_DSPINLOCK_LEASE_LOST')
    const second = holdOf(await next)
    expect(second.fence).to.be.above(first.fence)
    expect(await first.release()).to.equal(false)
    expect(await engine.forget('k', first.fence)).to.equal(false)
    expect(await second.release()).to.equal(true)
    expect([engine.keys, engine.waiters]).to.deep.equal([0, 0])
  })

  it('a holder that is just releasing is not disturbed', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const first = holdOf(await engine.enter('k'))
    const next = engine.enter('k')
    const [released] = await Promise.all([first.release(), engine.forget('k', first.fence)])
    expect(released).to.equal(true)
    await holdOf(await next).release()
  })

  it('a holder that has held for too long does not keep those who wait behind it from a key that was taken away elsewhere', async () => {
    const store = memoryStore()
    const engine = new LockEngine({ store })
    const { signal } = holdOf(await engine.enter('k', { leaseMs: 60_000, maxHoldMs: 10 }))
    const next = engine.enter('k', { waitMs: 2_000 })
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    expect(await store.forget('k')).to.equal(true)
    await holdOf(await next).release()
    expect(await engine.enter('k', { duplicates: 'reject' })).to.include({ role: 'holder' })
  })
})

describe('leaveRecord', () => {
  const leaving = { leaveRecord: true, ttlMs: 60_000 } as const

  it('those who take turns leave a record for those who take records, and their next hold ends it', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const first = holdOf(await engine.enter('k', leaving))
    const turn = engine.enter('k', leaving)
    expect(await first.settle(Uint8Array.of(1))).to.equal(true)
    const second = holdOf(await turn)
    expect(await engine.enter('k', { duplicates: 'reject' })).to.include({ role: 'refused', reason: 'in-flight' })
    expect(await second.settle(Uint8Array.of(2))).to.equal(true)
    const follower = await engine.enter('k', { duplicates: 'replay' })
    expect(follower.role === 'follower' && [...follower.record]).to.deep.equal([2])
    await holdOf(await engine.enter('k', leaving)).release()
    await holdOf(await engine.enter('k', { duplicates: 'replay' })).release()
  })

  it('of run is its result', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const replay = { duplicates: 'replay' } as const
    const holder = holdOf(await engine.enter('k'))
    const turn = engine.run('k', () => ({ made: 'in turn' }), leaving)
    const waiting = engine.run('k', () => 'run again', replay)
    await holder.release()
    const results = await Promise.all([turn, waiting, engine.run('k', () => 'run again', replay)])
    expect(results).to.deep.equal([{ made: 'in turn' }, { made: 'in turn' }, { made: 'in turn' }])
  })

  it('is refused with other policies, and ttlMs with serialise stays refused without it', () => {
    expect(() => new Policy({ duplicates: 'replay', leaveRecord: true })).to.throw(TypeError, 'leaveRecord')
    expect(() => new Policy({ ttlMs: 5 })).to.throw(TypeError, 'ttlMs')
  })
})

describe('pollMs of one call', () => {
  it('decides how often it asks while another process holds the key', async () => {
    const store = memoryStore()
    const [ours, theirs] = [new LockEngine({ store, pollMs: 60_000 }), new LockEngine({ store })]
    const hold = holdOf(await theirs.enter('k', { leaseMs: 60_000 }))
    let claims = 0
    const claim = store.claim.bind(store)
    const asked = new Promise<void>(resolve => {
      store.claim = request => {
        if (++claims === 3) resolve()
        return claim(request)
      }
    })
    const entered = ours.enter('k', { pollMs: 5 })
    await asked
    await hold.release()
    await holdOf(await entered).release()
  })
})
