// The memory store's records: what each takes, which go first, and that none is lost or mixed up while others come and go.

import { equal, ok } from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { memoryStore, type Store } from '@dspinlock/core'
import { testSeed } from '../support/seed.js'

const HOUR_MS = 3_600_000
/** How much a record with a key of four characters counts, beside its bytes. */
const BESIDE = 150 + 2 * 4

/** A store, and what one claimant does with it. */
class Bench {
  readonly store: Store
  readonly #id: string
  #tokens = 0

  constructor(maxBytes = 64 * 1024 * 1024) {
    this.store = memoryStore({ maxBytes })
    this.#id = this.store.open(() => {}).id
  }

  hold(key: string, takeRecord = true): string {
    const token = this.#token()
    const reply = this.#claim(key, token, takeRecord)
    equal(reply.state, 'held', key)
    return token
  }

  settle(key: string, token: string, record: Uint8Array, ttlMs = HOUR_MS): void {
    equal(this.store.settle({ key, token, record, ttlMs, retainMs: 0 }), true)
  }

  leave(key: string, record: Uint8Array, ttlMs = HOUR_MS): void {
    this.settle(key, this.hold(key), record, ttlMs)
  }

  /** The record; undefined if there is none. Nothing is held afterwards. */
  read(key: string): Uint8Array | undefined {
    const token = this.#token()
    const reply = this.#claim(key, token, true)
    if (reply.state === 'record') return reply.record
    equal(reply.state, 'held')
    void this.store.release({ key, token, passMs: 0, maxLocalTurns: 0 })
    return undefined
  }

  #token(): string {
    return `${this.#id}.${++this.#tokens}`
  }

  #claim(key: string, token: string, takeRecord: boolean) {
    const reply = this.store.claim({ key, token, leaseMs: 10_000, wait: false, takeRecord, payload: '', arrival: 0 })
    if (reply instanceof Promise) throw new Error('the memory store answers at once')
    return reply
  }
}

/** Numbers below `below`, the same for the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The memory in use, in bytes, without garbage. */
function used(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  for (let time = 0; time < 3; time++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

describe('memory store: records', () => {
  it('one takes at most 250 bytes beside its own, key included', function () {
    this.timeout(20_000)
    const bench = new Bench()
    const key = (number: number): string => Buffer.alloc(32, `record ${number}`).toString('base64url')
    for (let number = 0; number < 1_000; number++) bench.leave(`first ${key(number)}`, new Uint8Array(1_024))
    const before = used()
    const count = 20_000
    for (let number = 0; number < count; number++) bench.leave(key(number), new Uint8Array(1_024))
    const each = (used() - before) / count - 1_024
    ok(each > 60 && each <= 250, `${each.toFixed()} bytes`)
    ok(bench.read(key(0)))
  })

  it('none is lost or mixed up, whatever is kept, replaced, held anew and forgotten in between', async () => {
    const next = random(testSeed)
    const bench = new Bench()
    const expected = new Map<string, Buffer>()
    const sizes = [0, 1, 100, 3_000, 70_000, 300_000]
    for (let step = 0; step < 8_000; step++) {
      const key = `key ${next(600)}`
      const action = next(10)
      if (action < 6) {
        const record = Buffer.alloc(sizes[next(step % 50 === 0 ? 6 : 4)] ?? 0, `${key} ${step}`)
        // A claim that takes no record ends the existing one.
        bench.settle(key, bench.hold(key, false), record)
        expected.set(key, record)
      } else if (action < 8) {
        equal(bench.store.forget(key), expected.delete(key), key)
      } else {
        const record = bench.read(key)
        ok(expected.get(key)?.equals(record ?? Buffer.from('none')) ?? record === undefined, key)
      }
    }
    const listed: string[] = []
    for await (const { key, recordBytes } of bench.store.list()) {
      listed.push(key)
      equal(recordBytes, expected.get(key)?.length)
    }
    equal(listed.length, expected.size)
    for (const [key, record] of expected) ok(record.equals(bench.read(key) ?? Buffer.from('none')), key)
  })

  it('beyond maxBytes those that were settled first go first', () => {
    const bench = new Bench(1_000 * (BESIDE + 100))
    for (let number = 1_000; number < 2_000; number++) bench.leave(`${number}`, new Uint8Array(100))
    // Settled again, so it is the youngest.
    bench.settle('1000', bench.hold('1000', false), new Uint8Array(100))
    for (let number = 2_000; number < 2_700; number++) {
      bench.leave(`${number}`, new Uint8Array(100))
      equal(bench.read(`${number - 999}`), undefined)
      ok(bench.read(`${number - 998}`))
    }
    ok(bench.read('1000'))
  })

  it('many go beyond maxBytes by their number alone, however small they are', () => {
    const bench = new Bench(1_000_000)
    const before = used()
    for (let number = 0; number < 100_000; number++) bench.leave(`${number}`.padEnd(43, 'x'), Uint8Array.of(1))
    const takenBytes = used() - before
    ok(takenBytes < 3_000_000, `${takenBytes} bytes`)
    ok(bench.read('99999'.padEnd(43, 'x')))
  })

  it('one that alone is larger than maxBytes is not kept', () => {
    const bench = new Bench(BESIDE + 1_000)
    bench.leave('long', new Uint8Array(1_001))
    equal(bench.read('long'), undefined)
    bench.leave('less', new Uint8Array(1_000))
    ok(bench.read('less'))
  })

  it('bytes that a caller was given stay the same when the record is gone and others have taken its place', () => {
    const bench = new Bench()
    for (let number = 0; number < 600; number++) bench.leave(`${number}`, Buffer.from(`record ${number}`))
    const given = Array.from({ length: 600 }, (_, number) => bench.read(`${number}`) ?? Buffer.from('none'))
    for (let number = 0; number < 600; number++) void bench.store.forget(`${number}`)
    for (let number = 0; number < 600; number++) bench.leave(`${number}`, Buffer.from(`others ${number}`))
    for (const [number, bytes] of given.entries()) equal(Buffer.from(bytes).toString(), `record ${number}`)
  })

  it('cannot be taken away with what one of them is sent to a worker with', () => {
    const bench = new Bench()
    for (let number = 0; number < 600; number++) bench.leave(`${number}`, Buffer.from(`record ${number}`))
    const { buffer } = bench.read('5') ?? new Uint8Array(0)
    try {
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] })
    } catch {
      // Newer versions of Node refuse, older ones copy.
    }
    equal(Buffer.from(bench.read('6') ?? []).toString(), 'record 6')
  })

  it('what ran out is dropped by itself, and does not count any more', async function () {
    this.timeout(10_000)
    const bench = new Bench(1_000 * (BESIDE + 120))
    for (let number = 0; number < 500; number++) bench.leave(`long ${number}`, new Uint8Array(100))
    for (let number = 0; number < 500; number++) bench.leave(`short ${number}`, new Uint8Array(100), 20)
    // Looked for each second.
    await new Promise(resolve => setTimeout(resolve, 1_300))
    for (let number = 0; number < 500; number++) bench.leave(`more ${number}`, new Uint8Array(100))
    for (let number = 0; number < 500; number++) {
      ok(bench.read(`long ${number}`))
      ok(bench.read(`more ${number}`))
    }
  })

  it('one that is for nobody is not kept', () => {
    const { store } = new Bench()
    const hold = { key: 'key', token: 'one.1', leaseMs: 10_000 }
    void store.claim({ ...hold, wait: false, takeRecord: true, payload: '', arrival: 0 })
    void store.settle({ ...hold, record: Buffer.from('r'), ttlMs: 0, retainMs: 10_000 })
    equal(store.inspect('key'), undefined)
  })

  it('an earlier fence forgets nothing once another had the key, though its record is still there for those who waited', () => {
    const bench = new Bench()
    bench.leave('key', Buffer.from('r'))
    const first = bench.store.inspect('key')
    if (first === undefined || first instanceof Promise) throw new Error('there is a record')
    const token = bench.hold('key', false)
    void bench.store.release({ key: 'key', token, passMs: 0, maxLocalTurns: 0 })
    equal(bench.store.forget('key', first.fence), false)
    const late = {
      key: 'key',
      token: 'late.1',
      leaseMs: 10_000,
      wait: false,
      takeRecord: true,
      payload: '',
      arrival: 1,
    }
    const reply = bench.store.claim(late)
    equal(reply instanceof Promise ? 'later' : reply.state, 'record')
  })
})
