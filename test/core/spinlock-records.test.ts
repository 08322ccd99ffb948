// What a lock stores of a result, and what it says about anything that is no record.

import { runInNewContext } from 'node:vm'
import { HashDSpinlock, LockEngine, memoryStore, RecordError, type SpinlockRecord } from '@dspinlock/core'
import { expect } from 'chai'
import { storeWith } from '../support/engine.js'
import { failure } from '../support/failure.js'

const store = memoryStore()
const options = { store, cachedIfComputed: true }
let count = 0

/** The result as another lock gets it that finds the work done. */
async function roundTrip(result: unknown): Promise<unknown> {
  const value = ['records', ++count]
  await new HashDSpinlock(value, options).run(() => result)
  const reader = new HashDSpinlock(value, options)
  const found = await reader.run(() => expect.fail('it should have been found'))
  expect(reader.cached).to.equal(true)
  return found
}

describe('spinlock: stored results', () => {
  after(() => store.close())

  const results: readonly (readonly [what: string, result: unknown])[] = [
    ['text', 'é\0\u2028"\\'],
    ['a lone surrogate', '\ud800'],
    ['a number', -1.5e-7],
    ['NaN', Number.NaN],
    ['infinity', Number.NEGATIVE_INFINITY],
    ['-0', -0],
    ['a bigint', -(2n ** 70n)],
    ['false', false],
    ['null', null],
    ['undefined', undefined],
    ['an empty array', []],
    ['what an array holds', [1, undefined, [null]]],
    ['an object', { a: { b: undefined }, 'odd key': 1 }],
    ['a date', new Date(1_700_000_000_123)],
    ['a URL', new URL('https://example.org/?a=1')],
    [
      'a Map',
      new Map<unknown, unknown>([
        [{ k: 1 }, new Set([1n])],
        ['b', new Date(0)],
      ]),
    ],
    ['a Set', new Set([1, '1', undefined])],
    ['a Buffer', Buffer.from([0, 255, 10])],
    ['bytes', Uint8Array.of(0, 255, 10)],
    ['an object that looks like ours', { $: 'Date', v: '5' }],
    ['an object with __proto__', JSON.parse('{"__proto__":{"polluted":true},"a":1}')],
  ]
  for (const [what, result] of results) {
    it(`${what} comes back as it was`, async () => {
      const found = await roundTrip(result)
      expect(found).to.deep.equal(result)
      expect(Object.is(found, -0)).to.equal(Object.is(result, -0))
      if (typeof result === 'object' && result !== null) {
        expect(Object.getPrototypeOf(found)).to.equal(Object.getPrototypeOf(result))
        expect(found).not.to.equal(result)
      }
    })
  }

  it('what another realm made, or a parser, comes back as ours', async () => {
    const made: unknown = runInNewContext(
      '({ map: new Map([["k", new Set([1])]]), at: new Date(5), bytes: Uint8Array.of(1) })',
    )
    const Bare = function () {} as unknown as new () => Record<string, unknown>
    Bare.prototype = Object.create(null)
    expect(await roundTrip([made, Object.assign(new Bare(), { a: '1' })])).to.deep.equal([
      { map: new Map([['k', new Set([1])]]), at: new Date(5), bytes: Uint8Array.of(1) },
      { a: '1' },
    ])
  })

  it('an invalid date stays one', async () => {
    expect(String(await roundTrip(new Date(Number.NaN)))).to.equal('Invalid Date')
  })

  it('an object with toJSON comes back as what that gives', async () => {
    expect(await roundTrip({ money: { toJSON: () => '12.00' } })).to.deep.equal({ money: '12.00' })
  })

  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = [cyclic]
  class Row {
    readonly id = 1
  }
  /** Objects like those that database drivers return. */
  class Rows extends Array<number> {
    readonly count = this.length
  }
  const unstorable: readonly (readonly [what: string, result: unknown, path: RegExp])[] = [
    ['a function', { list: [() => 1] }, /record\.value\.list\[0\] is a function/],
    ['a symbol', Symbol('s'), /record\.value is a symbol/],
    ['a class instance', [new Row()], /record\.value\[0\] is an instance of Row/],
    ['rows with more to them', [new Rows(1, 2)], /record\.value\[0\] is an instance of Rows/],
    ['a cycle', cyclic, /record\.value\.self\[0\] is a cycle/],
  ]
  for (const [what, result, path] of unstorable) {
    it(`${what} cannot be stored: an error where the result was to be stored, and nobody's business elsewhere`, async () => {
      const value = ['unstorable', what]
      const asked = await failure(new HashDSpinlock(value, options).run(() => result))
      expect(asked).to.be.instanceOf(RecordError)
      expect(asked.message).to.match(/; return plain data, or override packRecord\(\)$/)
      expect((asked.cause as Error).message).to.match(path)
      expect(await new HashDSpinlock(value, { store }).run(() => result)).to.equal(result)
      const exists = new HashDSpinlock(value, { store, failIfKeyExists: true })
      expect(await failure(exists.acquire())).to.include({ state: 'COMPUTED' })
    })
  }

  const broken: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ['nothing', new Uint8Array(0)],
    ['no text', Uint8Array.of(0xff, 0xfe)],
    ['no JSON', Buffer.from('{"format":1')],
    ['JSON of another kind', Buffer.from('[1]')],
    ['null', Buffer.from('null')],
    ['another format', Buffer.from('{"format":2,"state":"COMPUTED","tag":"t","fence":1}')],
    ['an unknown state', Buffer.from('{"format":1,"state":"DONE","tag":"t","fence":1}')],
    ['no tag', Buffer.from('{"format":1,"state":"COMPUTED","fence":1}')],
    [
      'an unknown type',
      Buffer.from('{"format":1,"state":"COMPUTED","tag":"t","fence":1,"value":{"$":"Regex","v":"x"}}'),
    ],
    ['no bigint', Buffer.from('{"format":1,"state":"COMPUTED","tag":"t","fence":1,"value":{"$":"bigint","v":"x"}}')],
    ['no Map', Buffer.from('{"format":1,"state":"COMPUTED","tag":"t","fence":1,"value":{"$":"Map","v":[1]}}')],
  ]
  for (const [what, bytes] of broken) {
    it(`a record that is ${what} is an InvalidValueError, and deleteState mends it`, async () => {
      const lock = new HashDSpinlock(['broken', what], options)
      const entry = await new LockEngine({ store }).enter(lock.key, { duplicates: 'replay', ttlMs: 60_000 })
      if (entry.role === 'holder') await entry.hold.settle(bytes)
      let ran = false
      const error = await failure(lock.run(() => (ran = true)))
      expect(error).to.include({ code: 'ERR_DSPINLOCK_INVALID_VALUE', key: lock.key })
      expect(error.cause).to.be.instanceOf(Error)
      expect([ran, lock.state]).to.deep.equal([false, undefined])
      expect((await failure(lock.acquire())).code).to.equal('ERR_DSPINLOCK_INVALID_VALUE')
      expect(await lock.deleteState()).to.equal(true)
      expect(await lock.run(() => 'mended')).to.equal('mended')
    })
  }

  it('unpackRecord and packRecord can be overridden, and what they get wrong is an InvalidValueError', async () => {
    const stored: SpinlockRecord[] = []
    class Logged extends HashDSpinlock {
      override packRecord(record: SpinlockRecord): Uint8Array {
        stored.push(record)
        return super.packRecord(record)
      }
      override unpackRecord(record: Uint8Array): SpinlockRecord {
        const unpacked = super.unpackRecord(record)
        return unpacked.value === 'wrong'
          ? ({} as SpinlockRecord)
          : { ...unpacked, value: `${String(unpacked.value)}!` }
      }
    }
    const lock = new Logged('hooks', options)
    await lock.run(() => 'right')
    expect(stored[0]).to.include({ state: 'COMPUTED', tag: lock.tag, hasValue: true, value: 'right' })
    expect(await new Logged('hooks', options).run(() => 'never')).to.equal('right!')
    await lock.deleteState()
    await lock.run(() => 'wrong')
    expect((await failure(new Logged('hooks', options).run(() => 'never'))).code).to.equal(
      'ERR_DSPINLOCK_INVALID_VALUE',
    )
  })

  it('what the hooks return is copied, and they are given a Buffer of their own', async () => {
    class Raw extends HashDSpinlock {
      override packRecord({ value }: SpinlockRecord): Uint8Array {
        return value as Buffer
      }
      override unpackRecord(record: Uint8Array): SpinlockRecord {
        return { state: 'COMPUTED', tag: record.toString(), fence: 1, hasValue: true, value: record }
      }
    }
    const made = await new Raw('raw', options).run(() => Buffer.from('result'))
    made.fill(0)
    for (let n = 0; n < 2; n++) {
      const found = await new Raw('raw', options).run(() => Buffer.alloc(0))
      expect(found.toString()).to.equal('result')
      found.fill(0)
    }
  })

  for (const [what, wishes] of [
    ['cachedIfComputed', { cachedIfComputed: true }],
    ['failIfKeyExists', { failIfKeyExists: true }],
    ['neither', {}],
  ] as const) {
    it(`under a pass mark, nothing runs unlocked, and nobody asks until it is gone, with ${what}`, async () => {
      let claims = 0
      const marked = storeWith({ claim: request => (claims++, store.claim(request)) }, store)
      const lock = new HashDSpinlock(['passed', what], { store: marked, ...wishes })
      const entry = await new LockEngine({ store }).enter(lock.key, { duplicates: 'replay' })
      if (entry.role === 'holder') await entry.hold.release({ passMs: 500 })
      expect(await lock.run(({ fence }) => fence)).to.be.a('number')
      expect(claims).to.be.at.most(2)
    })
  }
})
