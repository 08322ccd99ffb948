// What the script keeps about a key from one operation to the next: fences, marks, times to live, how claims ended, records.

import {
  type ClaimReply,
  type ClaimRequest,
  channels,
  type Mailbox,
  type Store,
  type TroubleEvent,
} from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { redisUrl } from '../support/redis.js'
import { untilSo } from '../support/redis-admin.js'
import { spoilState } from '../support/redis-state.js'

describe('what the script keeps of a key', () => {
  const prefix = `script-${process.pid}`
  let store: Store
  let redis: Redis
  const boxes: Mailbox[] = []
  let next = 0
  let key = ''
  before(async () => {
    store = redisStore(redisUrl(), { prefix })
    redis = new Redis(redisUrl())
    await untilSo('the store listens', async () => (await redis.pubsub('CHANNELS', `${prefix}:wake:*`)).length === 1)
  })
  beforeEach(() => {
    key = `k${++next}`
  })
  after(async () => {
    for (const box of boxes) box.close()
    await store.close()
    redis.disconnect()
  })

  const name = (of = key): string => `${prefix}:{=${of}}`
  const box = (): string => {
    const made = store.open(() => {})
    boxes.push(made)
    return made.id
  }
  const claimOf = (token: string, more: Partial<ClaimRequest>): ClaimRequest => {
    const plain = { key, token, leaseMs: 10_000, wait: false, takeRecord: false, payload: '', arrival: 0 }
    return { ...plain, ...more }
  }
  const claim = async (token: string, more: Partial<ClaimRequest> = {}): Promise<ClaimReply> =>
    store.claim(claimOf(token, more))
  const hold = async (token: string, more: Partial<ClaimRequest> = {}): Promise<number> => {
    const reply = await claim(token, more)
    if (reply.state !== 'held') throw new Error(`not held but ${reply.state}`)
    return reply.fence
  }
  const release = async (token: string, passMs = 0): Promise<boolean> =>
    (await store.release({ key, token, passMs, maxLocalTurns: 0 })).mine
  const settle = async (token: string, record: Uint8Array, ttlMs: number): Promise<boolean> =>
    store.settle({ key, token, record, ttlMs, retainMs: 1_000 })
  /** Asserts for how many milliseconds Redis still keeps the key's state, with an allowance for a slow test. */
  const expectKept = async (ms: number, of = key): Promise<void> => {
    expect(await redis.pttl(name(of)), `time to live of ${of}`).to.be.within(ms - 5_000, ms)
  }

  it('a fence above the last one, though the clock is behind it', async () => {
    const a = box()
    await hold(`${a}.1`)
    await release(`${a}.1`)
    await spoilState(redis, name(), 'fence = (now + 3600000) * 1000')
    const [first] = [await hold(`${a}.2`), await release(`${a}.2`)]
    expect(await hold(`${a}.3`)).to.equal(first + 1)
    await store.forget(key)
    expect(await hold(`${a}.4`), 'after it was forgotten').to.equal(first + 2)
  })

  it('no fence that is not valid', async () => {
    const a = box()
    await hold(`${a}.1`)
    await release(`${a}.1`)
    await spoilState(redis, name(), 'fence = 1e18')
    expect(await hold(`${a}.2`)).to.be.below(9e15)
  })

  it('a pass mark until the next hold', async () => {
    const a = box()
    await hold(`${a}.1`)
    expect(await release(`${a}.1`, 60_000)).to.equal(true)
    expect(await claim(`${a}.2`, { takeRecord: true })).to.deep.equal({ state: 'pass' })
    await hold(`${a}.3`)
    await release(`${a}.3`)
    await hold(`${a}.4`, { takeRecord: true })
    const next = claimOf(`${a}.5`, { takeRecord: true })
    const handedOn = await store.release({ key, token: `${a}.4`, passMs: 60_000, maxLocalTurns: 0, next })
    expect(handedOn, 'where the next claim comes with it').to.deep.equal({ mine: true, next: { state: 'pass' } })
  })

  it('itself, for as long as something in it counts, and no longer', async () => {
    const a = box()
    await hold(`${a}.1`, { leaseMs: 20_000 })
    await expectKept(80_000)
    await store.renew({ key, token: `${a}.1`, leaseMs: 30_000 })
    await expectKept(90_000)
    await store.renew({ key, token: `${a}.1`, leaseMs: 1_000 })
    await expectKept(90_000)
    await release(`${a}.1`)
    await expectKept(10_000)
    await hold(`${a}.2`)
    await release(`${a}.2`, 40_000)
    await expectKept(40_000)
    await hold(`${a}.3`)
    await settle(`${a}.3`, Buffer.from('x'), 50_000)
    await expectKept(50_000)
    await hold(`${a}.4`)
    await settle(`${a}.4`, Buffer.from('x'), 0)
    await release(`${a}.4`)
    // The older record is given to no newcomer, but is kept for those that waited for it.
    await expectKept(50_000)
  })

  it('waiters, for as long as they may wait before they ask again', async () => {
    const a = box()
    await hold(`${a}.1`, { leaseMs: 300_000 })
    await claim(`${box()}.1`, { wait: true })
    expect(await redis.pttl(`${name()}:w`)).to.be.within(355_000, 360_000)
  })

  it('a lease of the greatest length, also when the clock was set back', async () => {
    const a = box()
    await hold(`${a}.1`, { leaseMs: 2 ** 31 - 1 })
    await spoilState(redis, name(), 'ends = ends + 3600000')
    expect((await claim(`${a}.2`)).state).to.equal('busy')
  })

  it('a record, even if the clock was set back: for newcomers, and for nobody as a caller that waited for it', async () => {
    const a = box()
    const spoil = 'settled = settled + 3600000000 visible = visible + 3600000 kept = kept + 3600000'
    await hold(`${a}.1`)
    await settle(`${a}.1`, Buffer.from('x'), 60_000)
    await spoilState(redis, name(), spoil)
    expect(await claim(`${a}.2`, { takeRecord: true })).to.include({ state: 'record', ageMs: 0, joined: false })
    key = `${key}-unshared`
    await hold(`${a}.3`)
    const waiting = `${box()}.1`
    await claim(waiting, { takeRecord: true, wait: true })
    await settle(`${a}.3`, Buffer.from('x'), 0)
    await spoilState(redis, name(), spoil)
    expect((await claim(waiting, { takeRecord: true, arrival: 1 })).state).to.equal('held')
    await release(waiting)
    expect((await claim(`${a}.4`, { takeRecord: true })).state).to.equal('held')
  })

  it('each of several operations of one call with its own time to live, and its own moment', async () => {
    const a = box()
    const leases = [20_000, 40_000, 20_000, 60_000, 60_000, 10_000]
    const fences = await Promise.all(leases.map((leaseMs, n) => hold(`${a}.${n + 1}`, { key: `${key}-${n}`, leaseMs })))
    for (const [n, leaseMs] of leases.entries()) await expectKept(leaseMs + 60_000, `${key}-${n}`)
    expect(new Set(fences).size).to.equal(leases.length)
  })

  it('the last two ends of each mailbox, by number and not by text', async () => {
    const [a, b] = [box(), box()]
    for (const token of [`${b}.3`, `${a}.8`, `${a}.9`, `${a}.10`]) {
      await hold(token)
      expect(await release(token)).to.equal(true)
    }
    expect(await release(`${a}.10`)).to.equal(true)
    expect(await release(`${a}.9`)).to.equal(true)
    expect(await release(`${a}.8`), 'the last but two').to.equal(false)
    expect(await release(`${b}.3`), "another's").to.equal(true)
    expect(await settle(`${a}.10`, Buffer.from('x'), 0), 'in another way').to.equal(false)
    for (const late of [8, 9, 10]) expect(await claim(`${a}.${late}`)).to.include({ state: 'busy', leaseLeftMs: 0 })
    await hold(`${a}.11`)
    await settle(`${a}.11`, Buffer.from('x'), 0)
    expect(await settle(`${a}.11`, Buffer.from('x'), 0)).to.equal(true)
    expect(await release(`${a}.10`)).to.equal(true)
    expect(await claim(`${b}.3`)).to.include({ state: 'busy', leaseLeftMs: 0 })
    await hold(`${b}.4`)
  })

  it('an end that comes after that of a higher number', async () => {
    const a = box()
    for (const n of [5, 20]) {
      await hold(`${a}.${n}`)
      await release(`${a}.${n}`)
    }
    // Of waiters that gave up, when they are heard of.
    for (const n of [7, 6, 20]) await store.leave(key, `${a}.${n}`)
    expect(await release(`${a}.20`), 'how it ended first').to.equal(true)
    expect(await release(`${a}.5`), 'of three, the lowest').to.equal(false)
    await store.leave(key, `${a}.12`)
    await hold(`${a}.21`)
    await release(`${a}.21`)
    await store.leave(key, `${a}.21`)
    expect(await release(`${a}.20`), 'after the higher one was told again').to.equal(true)
    const b = box()
    await hold(`${b}.9`)
    await release(`${b}.9`)
    await hold(`${b}.10`)
    await store.leave(key, `${b}.11`)
    await release(`${b}.10`)
    await store.leave(key, `${b}.4`)
    expect(await release(`${b}.10`), 'the second by number and not by text').to.equal(true)
  })

  it('how many turns in a row a process had, even while nobody waits', async () => {
    const [a, b] = [box(), box()]
    const handOn = async (from: number): Promise<string | undefined> => {
      const next = claimOf(`${a}.${from + 1}`, { wait: true })
      return (await store.release({ key, token: `${a}.${from}`, passMs: 0, maxLocalTurns: 1, next })).next?.state
    }
    await hold(`${a}.1`)
    await claim(`${b}.1`, { wait: true })
    expect(await handOn(1)).to.equal('held')
    for (const n of [1, 2]) await store.leave(key, `${b}.${n}`)
    await store.renew({ key, token: `${a}.2`, leaseMs: 20_000 })
    await claim(`${b}.3`, { wait: true })
    expect(await handOn(2)).to.equal('busy')
  })

  it('the ends of a hundred mailboxes or so, and not of all', async () => {
    const ids = Array.from({ length: 300 }, () => box())
    for (const id of ids) await store.leave(key, `${id}.1`)
    expect(await redis.strlen(name())).to.be.within(2_000, 3_200)
    expect(await claim(`${ids.at(-1)}.1`)).to.include({ state: 'busy', leaseLeftMs: 0 })
    await hold(`${ids[0]}.1`)
  })

  it('a record, byte for byte, whatever is written of the key meanwhile', async () => {
    const [a, b] = [box(), box()]
    for (const record of [Buffer.from([0, 255, 59, 10, 0]), Buffer.alloc(0), Buffer.alloc(100_000, 'ab')]) {
      key = `k${++next}`
      await hold(`${a}.1`, { payload: 'p' })
      expect(await settle(`${a}.1`, record, 60_000)).to.equal(true)
      await store.leave(key, `${b}.1`)
      const reply = await claim(`${b}.2`, { takeRecord: true, payload: 'p' })
      if (reply.state !== 'record') throw new Error(reply.state)
      expect(Buffer.from(reply.record).equals(record), `${record.length} bytes`).to.equal(true)
      expect(reply.joined).to.equal(false)
      for (const [arrival, joined] of [[1, true] as const, [9e15, false] as const]) {
        expect(await claim(`${b}.2`, { takeRecord: true, payload: 'p', arrival })).to.include({ joined })
      }
      expect(await claim(`${b}.3`, { takeRecord: true, payload: 'q' })).to.include({
        state: 'mismatch',
        inFlight: false,
      })
      expect((await claim(`${b}.4`, { takeRecord: true })).state, 'without a payload').to.equal('record')
    }
  })

  it('a record, however long it is to be kept', async () => {
    const a = box()
    await hold(`${a}.1`)
    await settle(`${a}.1`, Buffer.from('x'), Number.MAX_SAFE_INTEGER)
    expect((await claim(`${a}.2`, { takeRecord: true })).state).to.equal('record')
  })

  it('nothing of a record that a hold ended, for newcomers', async () => {
    const a = box()
    await hold(`${a}.1`)
    await settle(`${a}.1`, Buffer.from('x'), 60_000)
    await hold(`${a}.2`)
    await release(`${a}.2`)
    await hold(`${a}.3`, { takeRecord: true })
  })

  it('a record in the message that wakes a waiter only up to `maxWakeRecordBytes`', async () => {
    const limited = redisStore(redisUrl(), { prefix, maxWakeRecordBytes: 10 })
    for (const [bytes, kind] of [[10, 'record'] as const, [11, 'look'] as const]) {
      key = `k${++next}`
      const a = box()
      let waiting = ''
      const told = new Promise<string>(resolve => {
        const waiter = store.open(wake => void (wake.kind === 'resync' || resolve(wake.kind)))
        boxes.push(waiter)
        waiting = `${waiter.id}.1`
      })
      await hold(`${a}.1`)
      await claim(waiting, { wait: true, takeRecord: true })
      await limited.settle({ key, token: `${a}.1`, record: Buffer.alloc(bytes), ttlMs: 0, retainMs: 1_000 })
      expect(await told).to.equal(kind)
    }
    await limited.close()
  })

  it('no record that is over', async () => {
    const a = box()
    await hold(`${a}.1`)
    await settle(`${a}.1`, Buffer.alloc(10_000), 1)
    await untilSo('it is over', async () => (await store.inspect(key))?.state === 'free')
    await hold(`${a}.2`, { takeRecord: true })
    expect(await redis.strlen(name())).to.be.below(200)
  })

  it('no record that is for nobody, though others wait for a turn', async () => {
    const a = box()
    await hold(`${a}.1`)
    await claim(`${box()}.1`, { wait: true })
    await settle(`${a}.1`, Buffer.alloc(10_000), 0)
    expect(await redis.strlen(name())).to.be.below(200)
  })

  it('no waiter that does not ask to wait', async () => {
    const [a, b] = [box(), box()]
    await hold(`${a}.1`)
    expect((await claim(`${b}.1`, { arrival: Date.now() * 1_000 })).state).to.equal('busy')
    expect((await store.inspect(key))?.waiters).to.equal(0)
    const arrival = (Date.now() - 5_000) * 1_000
    expect(await claim(`${b}.1`, { wait: true, arrival })).to.include({ state: 'busy', arrival })
    expect((await store.inspect(key))?.waiters).to.equal(1)
  })

  it('who waits, only while somebody does', async () => {
    const a = box()
    await hold(`${a}.1`, { payload: 'p' })
    const waiting = `${box()}.1`
    await claim(waiting, { wait: true })
    await store.leave(key, waiting)
    await release(`${a}.1`)
    // The shortest form, with which no operation looks for waiters.
    expect((await redis.getBuffer(name()))?.[0]).to.equal(209)
  })

  it('no waiter whose process is gone, once it would be its turn', async () => {
    const [a, c] = [box(), box()]
    const [gone, deaf, heard] = ['gone-1.1', 'deaf-1.1', `${c}.1`]
    const endLease = (): Promise<void> => spoilState(redis, name(), 'ends = now - 1000')
    await hold(`${a}.1`)
    for (const token of [gone, heard]) await claim(token, { wait: true })
    await release(`${a}.1`)
    expect((await claim(heard)).state, 'handed over by a release').to.equal('held')
    key = `k${++next}`
    await hold(`${a}.2`)
    for (const token of [gone, deaf, heard]) await claim(token, { wait: true })
    await endLease()
    // It does not listen, but it asks, so it lives.
    await hold(deaf, { wait: true, arrival: 1, leaseMs: 60_000 })
    const { leaseLeftMs, waiters } = (await store.inspect(key)) ?? { leaseLeftMs: 0, waiters: 0 }
    expect(leaseLeftMs, 'under its own lease').to.be.within(50_000, 60_000)
    expect(waiters).to.equal(1)
    key = `k${++next}`
    await hold(`${a}.3`)
    await claim(gone, { wait: true })
    await endLease()
    await hold(`${a}.4`, { wait: true })
  })

  it('a payload beside an arrival, with spaces in it', async () => {
    const [a, b] = [box(), box()]
    await hold(`${a}.1`, { payload: 'p q 1' })
    expect((await claim(`${b}.1`, { payload: 'p q 1', arrival: 5 })).state).to.equal('busy')
    expect(await claim(`${b}.1`, { payload: 'p q', arrival: 5 })).to.include({ state: 'mismatch', inFlight: true })
  })

  it('tokens of any length', async () => {
    const token = `${'x'.repeat(200)}-1.1234567890`
    await hold(token)
    expect((await claim(`${box()}.1`)).state).to.equal('busy')
    expect(await release(token)).to.equal(true)
    expect(await claim(token)).to.include({ state: 'busy', leaseLeftMs: 0 })
  })

  it('that other data was there, once: the claim is told, alone and with others', async () => {
    const a = box()
    const told: (string | undefined)[] = []
    const onTrouble = (event: unknown): void => {
      const { operation, key: of } = event as TroubleEvent & { key?: string }
      if (operation === 'claim') told.push(of)
    }
    channels.trouble.subscribe(onTrouble)
    await redis.hset(name(), 'f', 'v')
    await hold(`${a}.1`)
    await redis.set(name(`${key}-1`), 'text')
    await redis.set(name(`${key}-2`), 'a text that is longer than all that a state has in front')
    await Promise.all([0, 1, 2].map(n => hold(`${a}.${n + 2}`, { key: `${key}-${n}` })))
    channels.trouble.unsubscribe(onTrouble)
    expect(told).to.deep.equal([key, `${key}-1`, `${key}-2`])
  })
})
