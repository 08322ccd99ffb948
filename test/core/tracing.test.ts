// The tracing channels of the engine: what is published for each operation, on both kinds of store, and nothing when nobody listens.

import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import {
  type ClaimReply,
  type ClaimRequest,
  channels,
  type EnterEvent,
  type EnterTrace,
  type Hold,
  type HoldTrace,
  LockEngine,
  type MaybePromise,
  memoryStore,
  type Store,
  tracing,
} from '@dspinlock/core'
import { expect } from 'chai'
import { holdOf, storeWith } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { until } from '../support/http.js'
import { storeKinds } from '../support/stores.js'
import { hear } from '../support/tracing.js'

const record = Uint8Array.of(1, 2, 3)

for (const [kind, makeStore] of storeKinds) {
  describe(`tracing on ${kind}`, () => {
    let store: Store
    let engine: LockEngine
    let key: string
    let ear: ReturnType<typeof hear<EnterTrace | HoldTrace>>

    beforeEach(() => {
      store = makeStore()
      engine = new LockEngine({ store })
      key = randomUUID()
      ear = hear<EnterTrace | HoldTrace>(tracing as never, message => message.key === key)
    })
    afterEach(async () => {
      ear.stop()
      await engine.close({ timeoutMs: 1 })
      await store.close()
    })

    const of = <T>(name: string): T[] => ear.heard.filter(({ on }) => on === name).map(({ message }) => message as T)

    it('a hold that is settled: enter, hold, settle, each with one object', async () => {
      const hold = holdOf(await engine.enter(key, { duplicates: 'replay', label: 'reports' }))
      expect(ear.names()).to.deep.equal(['enter start', 'enter asyncEnd', 'hold start'])
      await hold.settle(record)
      expect(ear.names().slice(3)).to.deep.equal(['settle start', 'settle asyncEnd', 'hold asyncEnd'])

      const [enter] = of<EnterTrace>('enter asyncEnd')
      expect(of('enter start')[0]).to.equal(enter)
      expect(enter).to.include({ label: 'reports', duplicates: 'replay', role: 'holder', hasWaited: false })
      const [held] = of<HoldTrace>('hold asyncEnd')
      expect(of('hold start')[0]).to.equal(held)
      expect(of('settle start')[0]).to.equal(held)
      expect(held).to.include({ fence: hold.fence, label: 'reports', enter, how: 'settled', recordBytes: 3 })
      expect(held?.heldMs).to.be.at.least(0)
    })

    it('every start has its end on the way, also for what answers at once', async () => {
      await holdOf(await engine.enter(key)).release()
      for (const name of ['enter', 'hold', 'settle']) {
        const events = ear.heard.filter(({ on }) => on.startsWith(`${name} `)).map(({ on }) => on.split(' ')[1])
        expect(events, name).to.deep.equal(['start', 'end', 'asyncStart', 'asyncEnd'])
      }
      expect(of<HoldTrace>('hold asyncEnd')[0]).to.include({ how: 'released', recordBytes: 0 })
    })

    it('a duplicate that waits, and is given the record that its holder left', async () => {
      const hold = holdOf(await engine.enter(key, { duplicates: 'replay', ttlMs: 1_000 }))
      const following = engine.enter(key, { duplicates: 'replay', ttlMs: 1_000 })
      await until(() => of('wait start').length === 1, 'the duplicate waits')
      expect(of('wait asyncEnd')).to.have.length(0)
      await hold.settle(record)
      expect((await following).role).to.equal('follower')
      const [, follower] = of<EnterTrace>('enter asyncEnd')
      expect(follower).to.include({ role: 'follower', hasWaited: true })
      expect(of('wait asyncEnd')[0]).to.equal(follower)
      expect(follower?.holder).to.equal(of<HoldTrace>('hold start')[0])
    })

    it('a duplicate is told of its own holder, though that of another key leaves the same bytes at the same time', async () => {
      const keys = [key, `${key} too`]
      const enter = (one: string) => engine.enter(one, { duplicates: 'replay' })
      const holds = (await Promise.all(keys.map(enter))).map(holdOf)
      const following = keys.map(enter)
      await until(() => engine.waiters === 2, 'the duplicates wait')
      await Promise.all(holds.map(async hold => hold.settle(record)))
      await Promise.all(following)
      expect(of<EnterTrace>('enter asyncEnd')[1]?.holder).to.equal(of<HoldTrace>('hold start')[0])
    })

    it('a duplicate that waits for its turn holds in its own name', async () => {
      const hold = holdOf(await engine.enter(key))
      const next = engine.enter(key)
      await until(() => of('wait start').length === 1, 'the duplicate waits')
      await hold.release()
      const second = holdOf(await next)
      expect(of<HoldTrace>('hold start').map(({ fence }) => fence)).to.deep.equal([hold.fence, second.fence])
      expect(of<HoldTrace>('hold start')[1]?.enter).to.equal(of('enter start')[1])
      await second.release()
      expect(of('hold asyncEnd')).to.have.length(2)
    })

    it('a wait that runs out', async () => {
      const hold = holdOf(await engine.enter(key))
      const error = await failure(engine.enter(key, { waitMs: 5 }))
      const [, failed] = of<EnterTrace>('enter asyncEnd')
      expect(failed).to.include({ role: 'failed', error, hasWaited: true })
      expect(of('enter error')[0]).to.equal(failed)
      expect(of('wait asyncEnd')[0]).to.equal(failed)
      await hold.release()
    })

    it('a refusal', async () => {
      const hold = holdOf(await engine.enter(key, { duplicates: 'reject' }))
      await engine.enter(key, { duplicates: 'reject' })
      expect(of<EnterTrace>('enter asyncEnd')[1]).to.include({
        role: 'refused',
        reason: 'in-flight',
        hasWaited: false,
        error: undefined,
      })
      await hold.release()
    })

    it('a hold that is forgotten ends when that is known, and once', async () => {
      const hold = holdOf(await engine.enter(key))
      await engine.forget(key, hold.fence)
      const [lost] = of<HoldTrace>('hold asyncEnd')
      expect(lost).to.include({ how: 'lost', error: hold.signal.reason as Error })
      await hold.release()
      expect(of('hold asyncEnd')).to.have.length(1)
    })

    it('nothing is published about calls that began while nobody listened', async () => {
      ear.stop()
      const hold = holdOf(await engine.enter(key))
      const late = hear<EnterTrace | HoldTrace>(tracing as never, message => message.key === key)
      await hold.release()
      expect(late.heard).to.deep.equal([])
      late.stop()
    })
  })
}

describe('tracing of failures', () => {
  const down = (): never => {
    throw new Error('down')
  }

  it('a store that fails in claim: `enter` is told, on the plain channel, too', async () => {
    const engine = new LockEngine({ store: storeWith({ claim: down }) })
    const events: EnterEvent[] = []
    const listener = (event: unknown): void => void events.push(event as EnterEvent)
    channels.enter.subscribe(listener)
    const ear = hear({ enter: tracing.enter }, ({ key }) => key === 'claim fails')
    const error = await failure(engine.enter('claim fails'))
    ear.stop()
    channels.enter.unsubscribe(listener)
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE')
    expect(ear.names()).to.deep.equal(['enter start', 'enter error', 'enter asyncEnd'])
    expect(events.find(({ key }) => key === 'claim fails')).to.include({ role: 'failed', error })
  })

  it('a hold that is forgotten before its holder knows that it has begun ends as soon as it starts', async () => {
    const inner = memoryStore()
    const claim = (request: ClaimRequest): MaybePromise<ClaimReply> => {
      const reply = inner.claim(request)
      void inner.forget(request.key)
      return reply
    }
    const engine = new LockEngine({ store: storeWith({ claim }, inner) })
    const ear = hear({ hold: tracing.hold }, ({ key }) => key === 'soon forgotten')
    const hold = holdOf(await engine.enter('soon forgotten'))
    ear.stop()
    expect(ear.names()).to.deep.equal(['hold start', 'hold error', 'hold asyncEnd'])
    expect(ear.heard.at(-1)?.message).to.include({ how: 'lost', error: hold.signal.reason as Error })
  })

  it('a closed engine, and a signal that was aborted before', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const ear = hear({ enter: tracing.enter }, ({ key }) => key === 'early')
    const reason = new Error('gone')
    await failure(engine.enter('early', { signal: AbortSignal.abort(reason) }))
    await engine.close()
    const closed = await failure(engine.enter('early'))
    ear.stop()
    const ends = ear.heard.filter(({ on }) => on === 'enter asyncEnd').map(({ message }) => message.error)
    expect(ends).to.deep.equal([reason, closed])
  })

  for (const [how, settle] of [
    ['throws', down],
    ['rejects', () => Promise.reject(new Error('down'))],
  ] as const) {
    it(`a store that ${how} in settle: the hold ends as failed`, async () => {
      const engine = new LockEngine({ store: storeWith({ settle }) })
      const ear = hear<HoldTrace>({ hold: tracing.hold, settle: tracing.settle }, ({ key }) => key === 'settle fails')
      const hold: Hold = holdOf(await engine.enter('settle fails', { duplicates: 'replay' }))
      const error = await failure((async () => hold.settle(record))())
      ear.stop()
      expect(ear.names()).to.deep.equal([
        'hold start',
        'settle start',
        'settle error',
        'settle asyncEnd',
        'hold error',
        'hold asyncEnd',
      ])
      expect(ear.heard[0]?.message).to.include({ how: 'failed', error })
    })
  }

  it('stores bound to a start reach what is done under it', async () => {
    const current = new AsyncLocalStorage<string>()
    let seen: string | undefined
    const inner = memoryStore()
    const store = storeWith(
      {
        claim: request => {
          seen = current.getStore()
          return inner.claim(request)
        },
      },
      inner,
    )
    const engine = new LockEngine({ store })
    tracing.enter.start.bindStore(current, ({ key }) => key)
    const hold = holdOf(await engine.enter('bound'))
    tracing.enter.start.unbindStore(current)
    expect(seen).to.equal('bound')
    expect(current.getStore()).to.equal(undefined)
    await hold.release()
  })

  it('a label is a string', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    expect((await failure(engine.enter('k', { label: 5 as never }))).message).to.equal(
      'dspinlock: option label must be a string, but received 5',
    )
  })
})
