// A value's hash is the same everywhere and different from that of every other value; some values have none.

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import { HashDSpinlock, hashValue, NotHashableError } from '@dspinlock/core'
import { expect } from 'chai'
import {
  array,
  assert,
  bigInt,
  constantFrom,
  dictionary,
  double,
  json,
  oneof,
  property,
  string,
  uniqueArray,
} from 'fast-check'
import { hashableValues } from '../support/hashable-values.js'

/** The golden file, two levels above the compiled test; if it changes, every key in use changes. */
const goldenFile = new URL('../../core/spinlock-hashes.json', import.meta.url)

const names = Object.keys(hashableValues)

describe('spinlock: hashes', () => {
  it('are those of the golden file', async () => {
    const golden = JSON.parse(await readFile(goldenFile, 'utf8')) as Record<string, string>
    expect(Object.keys(golden)).to.deep.equal(names)
    for (const name of names) expect(hashValue(hashableValues[name]), name).to.equal(golden[name])
  })

  it('are the same in another process, whatever its hash seed', async () => {
    const script = fileURLToPath(new URL('./hash-printer.js', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, ['--hash-seed=4711', script])
    expect(JSON.parse(stdout)).to.deep.equal(
      Object.fromEntries(names.map(name => [name, hashValue(hashableValues[name])])),
    )
  })

  it('differ for different values and types', () => {
    const seen = new Map<string, string>()
    for (const name of names) {
      const hash = hashValue(hashableValues[name])
      expect(seen.get(hash), `${name} hashes as another`).to.equal(undefined)
      seen.set(hash, name)
    }
  })

  it('do not depend on the order of keys and entries, or on identity', () => {
    const ordered = {
      a: 1,
      b: [
        new Set([1, 'x']),
        new Map<unknown, unknown>([
          ['m', 1],
          [2, 'n'],
        ]),
      ],
    }
    const turned = {
      b: [
        new Set(['x', 1]),
        new Map<unknown, unknown>([
          [2, 'n'],
          ['m', 1],
        ]),
      ],
      a: 1,
    }
    expect(hashValue(turned)).to.equal(hashValue(ordered))
    expect(hashValue(Object.assign(Object.create(null), { a: 1 }))).to.equal(hashValue({ a: 1 }))
    const bytes = Buffer.from('xexamplex').subarray(1, 8)
    expect(hashValue(bytes)).to.equal(hashValue(Buffer.from('example')))
  })

  it('of values that JSON tells apart are never equal', () => {
    const leaf = oneof(string({ unit: 'binary' }), double(), bigInt(), constantFrom(null, undefined, true, false))
    const value = oneof(leaf, array(leaf), dictionary(string(), leaf), array(array(leaf)))
    const identity = (one: unknown): string =>
      JSON.stringify(one, (_key, item: unknown) =>
        typeof item === 'bigint' || item === undefined || typeof item === 'number'
          ? `${typeof item} ${Object.is(item, -0) ? '-0' : String(item)}`
          : typeof item === 'string'
            ? `string ${item}`
            : typeof item === 'object' && item !== null && !Array.isArray(item)
              ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
              : item,
      )
    const many = uniqueArray(value, { selector: identity, minLength: 2, maxLength: 40 })
    assert(property(many, values => new Set(values.map(hashValue)).size === values.length))
  })

  const realm = createContext({ URL, Buffer })
  const foreign = (code: string): unknown => runInContext(`(${code})`, realm)

  it('do not depend on the realm: of a vm context, of Jest, of structuredClone in there', () => {
    for (const [code, value] of [
      ['{ a: [1, { b: null }], c: undefined }', { a: [1, { b: null }], c: undefined }],
      ['new Map([[new Set([1]), new Date(5)]])', new Map([[new Set([1]), new Date(5)]])],
      ['new Float64Array([1.5, 2])', new Float64Array([1.5, 2])],
      ['Uint8Array.of(1, 2)', Uint8Array.of(1, 2)],
      ['Uint8Array.of(1, 2).buffer', Uint8Array.of(1, 2).buffer],
      ['new DataView(new ArrayBuffer(2))', new DataView(new ArrayBuffer(2))],
      ['[Buffer.from("a"), new URL("https://example.org")]', [Buffer.from('a'), new URL('https://example.org')]],
    ] as const) {
      expect(hashValue(foreign(code)), code).to.equal(hashValue(value))
    }
    const parse = foreign('JSON.parse') as (text: string) => unknown
    assert(property(json(), text => hashValue(parse(text)) === hashValue(JSON.parse(text))))
  })

  it('are there for plain objects of parsers that give them a prototype with nothing in it', () => {
    const Bare = function () {} as unknown as new () => Record<string, unknown>
    Bare.prototype = Object.create(null)
    expect(hashValue({ query: Object.assign(new Bare(), { a: '1' }) })).to.equal(hashValue({ query: { a: '1' } }))
  })

  const cyclic: Record<string, unknown> = { a: [] }
  ;(cyclic['a'] as unknown[]).push({ back: cyclic })
  let deep: unknown = 1
  for (let n = 0; n < 100_000; n++) deep = [deep]
  class Plain {
    readonly a = 1
  }
  class DerivedMap extends Map {}
  class DerivedBytes extends Uint8Array {}
  class DerivedArray extends Array {}
  class OfNothing {}
  Object.setPrototypeOf(OfNothing.prototype, null)
  const cases: readonly [what: string, value: unknown, path: string][] = [
    ['a function', () => 1, 'value'],
    ['a class', Plain, 'value'],
    ['a symbol', Symbol('s'), 'value'],
    ['a WeakMap', { list: [1, new WeakMap()] }, 'value.list[1]'],
    ['a cycle', cyclic, 'value.a[0].back'],
    ['a class instance', { 'odd key': new Plain() }, 'value["odd key"]'],
    ['an instance of a derived class', [new DerivedMap()], 'value[0]'],
    ['an instance of derived bytes', new DerivedBytes(2), 'value'],
    ['an instance of a derived array', new DerivedArray(), 'value'],
    ['an instance of a class below nothing', new OfNothing(), 'value'],
    ["an instance of another realm's class", foreign('new (class { a = 1 })()'), 'value'],
    ["an instance of a class below another realm's", [foreign('new (class extends Set {})()')], 'value[0]'],
    ['a Proxy of a Map', new Proxy(new Map(), {}), 'value'],
    ['a Proxy of a Buffer', new Proxy(Buffer.alloc(1), {}), 'value'],
    ['a Proxy of a URL', [new Proxy(new URL('https://example.org'), {})], 'value[0]'],
    ['what only inherits from Date', Object.create(Date.prototype), 'value'],
    ['what only inherits from URL', Object.create(URL.prototype), 'value'],
    ['a function in a Map', new Map([['f', () => 1]]), 'value.<entry 0>.value'],
    ['a symbol in a Set', new Set([1, Symbol('s')]), 'value.<entry 1>'],
    ['a property named by a symbol', { [Symbol('s')]: 1 }, 'value[Symbol(s)]'],
    ['an array with named properties', Object.assign([1], { name: 'x' }), 'value'],
    ['a promise', Promise.resolve(1), 'value'],
    ['an Error', new Error('x'), 'value'],
    ['a boxed string', Object('x'), 'value'],
    [
      'a hashCode() that throws',
      {
        hashCode: () => {
          throw new Error('no')
        },
      },
      'value',
    ],
    ['a hashCode() that gives nothing', { hashCode: () => undefined }, 'value'],
    ['a hashCode() that gives a promise', { a: { hashCode: async () => 1 } }, 'value.a.hashCode()'],
    [
      'a hashCode() that gives itself',
      {
        hashCode() {
          return this
        },
      },
      'value.hashCode()',
    ],
  ]
  for (const [what, value, path] of cases) {
    it(`${what} has none, and the error names ${path}`, () => {
      expect(() => new HashDSpinlock(value))
        .to.throw(NotHashableError)
        .that.includes({ code: 'ERR_DSPINLOCK_NOT_HASHABLE', path })
    })
  }

  it('a value that is nested too deeply has none, and the stack survives', () => {
    expect(() => hashValue(deep)).to.throw(NotHashableError, '500 levels')
  })
})
