// Fingerprints are equal for duplicates and for nothing else, at every boundary where two requests could be confused.

import { parse } from 'node:querystring'
import { isDeepStrictEqual } from 'node:util'
import { canonicalise, type FingerprintParts, fingerprint } from '@dspinlock/http/support'
import { expect } from 'chai'
import express from 'express'
import fc from 'fast-check'
import { partsOf } from '../support/fingerprint-parts.js'

/** Few letters, among them all separators, so that two strings are often equal, or nearly. */
const text = fc.string({
  unit: fc.constantFrom('a', 'A', '1', ':', '-', ' ', '&', '=', '?', '\ud800', '\u{1f600}'),
  maxLength: 4,
})
const maybe = fc.option(text, { nil: undefined })
const name = fc.constantFrom('a', 'b', '__proto__', 'constructor', '')
const leaf = fc.constantFrom<unknown>(
  0,
  -0,
  1,
  '1',
  1n,
  true,
  false,
  null,
  undefined,
  Number.NaN,
  'NaN',
  '',
  [],
  {},
  '{}',
  new Date(1),
  1e21,
)
const { body } = fc.letrec(tie => ({
  body: fc.oneof({ maxDepth: 3 }, leaf, text, fc.array(tie('body'), { maxLength: 3 }), tie('object')),
  object: fc
    .array(fc.tuple(name, tie('body')), { maxLength: 3 })
    // As with JSON.parse, `__proto__` becomes a key like any other.
    .map(pairs => {
      const made = {}
      for (const [key, value] of pairs) {
        Object.defineProperty(made, key, { value, enumerable: true, configurable: true, writable: true })
      }
      return made
    }),
}))
const query = fc.option(
  fc.array(fc.tuple(fc.constantFrom('a', 'b', 'ab'), fc.constantFrom('', '1', '=1')), { maxLength: 3 }),
  {
    nil: undefined,
  },
)

const parts: fc.Arbitrary<FingerprintParts> = fc.record({
  duplicates: fc.constantFrom('serialise', 'replay', 'reject'),
  method: fc.constantFrom('GET', 'POST'),
  host: fc.constantFrom('a', 'A', 'a:1', ''),
  url: fc.tuple(fc.constantFrom('/', '/a', '/a/', '/A'), query).map(([path, pairs]) => {
    return pairs === undefined ? path : `${path}?${pairs.map(([key, value]) => `${key}=${value}`).join('&')}`
  }),
  rewrittenUrl: fc.constantFrom(undefined, '/', '/a', '/a?b', ''),
  version: maybe,
  contentType: maybe,
  contentEncoding: maybe,
  body: fc.oneof(
    fc.constant({ kind: 'none' } as const),
    text.map(value => ({ kind: 'raw', bytes: Buffer.from(value, 'utf16le') }) as const),
    body.map(value => ({ kind: 'parsed', value }) as const),
  ),
  identity: fc.oneof(
    fc.constant({ kind: 'public' } as const),
    text.map(id => ({ kind: 'custom', id }) as const),
    fc
      .array(fc.tuple(fc.constantFrom('authorization', 'cookie'), text), { maxLength: 2 })
      .map(credentials => ({ kind: 'headers', credentials }) as const),
  ),
  idempotencyKey: fc.option(text, { nil: undefined, freq: 4 }),
  customKey: fc.option(text, { nil: undefined, freq: 4 }),
  variant: fc.array(fc.tuple(name, maybe), { maxLength: 2 }),
})

/** The input of the digest, as a value that Node itself can compare. */
function meaningOf({
  url,
  host,
  rewrittenUrl,
  version,
  body: given,
  customKey,
  idempotencyKey,
  contentType,
  contentEncoding,
  ...rest
}: FingerprintParts): unknown {
  const [path, asked] = url.split(/\?(.*)/s, 2)
  const common = { ...rest, host: host.toLowerCase() }
  if (idempotencyKey !== undefined) {
    return { ...common, path, version, idempotencyKey, rewrittenPath: rewrittenUrl?.replace(/\?.*/s, '') }
  }
  if (customKey !== undefined) return { ...common, customKey }
  const byName = new Map<string, string[]>()
  for (const parameter of asked === undefined ? [] : asked.split('&')) {
    const key = parameter.replace(/=.*/s, '')
    byName.set(key, [...(byName.get(key) ?? []), parameter])
  }
  return {
    ...common,
    path,
    rewrittenUrl,
    version,
    asked: asked === undefined ? asked : byName,
    contentType,
    contentEncoding,
    given,
  }
}

describe('fingerprints', () => {
  it('are equal for what is equal, and for nothing else', () => {
    let equal = 0
    fc.assert(
      fc.property(
        parts,
        parts,
        fc.constantFrom<keyof FingerprintParts | undefined>(
          undefined,
          'url',
          'body',
          'identity',
          'customKey',
          'rewrittenUrl',
          'version',
          'variant',
          'contentType',
        ),
        (one, two, field) => {
          // Two random requests are hardly ever similar, so most pairs differ in one field only.
          const other = field === undefined ? two : { ...one, [field]: two[field] }
          const same = isDeepStrictEqual(meaningOf(one), meaningOf(other))
          if (same) equal++
          return (fingerprint(one, undefined) === fingerprint(other, undefined)) === same
        },
      ),
      { numRuns: 5_000 },
    )
    expect(equal, 'pairs that were equal').to.be.above(100)
  })

  it('are equal for parsed bodies that are equal, and for nothing else', () => {
    fc.assert(
      fc.property(body, body, (one, two) => (canonicalise(one) === canonicalise(two)) === isDeepStrictEqual(one, two)),
      { numRuns: 5_000 },
    )
  })

  it('depend on every byte of a raw body, and on its type if parsed', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ maxLength: 20 }), (one, two) => {
        const digest = (bytes: Uint8Array): string =>
          fingerprint(partsOf({ body: { kind: 'raw', bytes: Buffer.from(bytes) } }), undefined)
        return (digest(one) === digest(two)) === isDeepStrictEqual(one, two)
      }),
    )
    const distinct = [
      new Uint8Array([1]),
      new Uint16Array([1]),
      Buffer.from([1]),
      new Date(1),
      1,
      1n,
      '1',
      [1],
      new Set([1]),
      new Set([[1, 1]]),
      new Map([[1, 1]]),
      // The same parts, on other levels.
      [[1], 2],
      [[1, 2]],
      { a: { b: 1 }, c: 2 },
      { a: { b: 1, c: 2 } },
    ]
    expect(new Set(distinct.map(canonicalise)).size).to.equal(distinct.length)
  })

  it('of texts that differ only in what UTF-8 cannot express are different', () => {
    const texts = ['\ud800', '\ud801', '\udc00', '\ufffd']
    const digests = texts.map(value => fingerprint(partsOf({ body: { kind: 'parsed', value } }), undefined))
    expect(new Set(digests).size).to.equal(texts.length)
  })

  it('depend on the last byte of what is large, and not on what was digested before', () => {
    const digest = (url: string, bytes: string): string =>
      fingerprint(partsOf({ url, body: { kind: 'raw', bytes: Buffer.from(bytes) } }), undefined)
    for (const size of [1, 100, 32_000, 33_000, 100_000]) {
      const body = 'a'.repeat(size)
      const first = digest('/', `${body}b`)
      expect(digest('/', `${body}c`), String(size)).to.not.equal(first)
      digest('/', 'd'.repeat(size + 1_000))
      expect(digest('/', `${body}b`), String(size)).to.equal(first)
    }
    // A character may take three bytes.
    const url = `/${'\u20ac'.repeat(20_000)}`
    expect(digest(url, 'same so far, b')).to.not.equal(digest(url, 'same so far, c'))
  })

  it('of a multipart body do not depend on its boundary, and on all else', () => {
    const digest = (boundary: string, pieces: readonly string[], type = 'multipart/form-data; boundary='): string => {
      const bytes = Buffer.from(pieces.join(`\r\n--${boundary}\r\n`))
      return fingerprint(partsOf({ contentType: `${type}${boundary}`, body: { kind: 'raw', bytes } }), undefined)
    }
    const piece = fc.string({ unit: fc.constantFrom('a', '-', '\r\n'), maxLength: 6 })
    const pieces = fc.array(piece, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(pieces, pieces, (one, two) => {
        return (digest('XX', one) === digest('YYY', two)) === isDeepStrictEqual(one, two)
      }),
      { numRuns: 2_000 },
    )
    // If it is not on a line of its own, it is content.
    for (const [before, after] of [
      ['pay ', ''],
      ['', 'x'],
      ['\r\n', ' x'],
      ['\r\n', '--x'],
    ]) {
      const contents = (boundary: string): string[] => ['a', `${before}--${boundary}${after}`, 'b']
      expect(digest('XX', contents('XX'))).to.not.equal(digest('YYY', contents('YYY')))
    }
    expect(digest('X Z', ['a'])).to.not.equal(digest('Y Z', ['a']))
    expect(digest('"X"', ['a'])).to.equal(digest('"Y"', ['a']))
    expect(digest('m', ['a'])).to.equal(digest('X', ['a']))
    expect(digest('X', ['a', 'b'], 'Multipart/Form-Data; Boundary=')).to.equal(
      digest('Y', ['a', 'b'], 'Multipart/Form-Data; Boundary='),
    )
    // What moves from one piece to the next makes another form.
    expect(digest('X', ['a\r\n', 'b'])).to.not.equal(digest('X', ['a', '\r\nb']))
    expect(digest('X"', ['a'])).to.not.equal(digest('Y"', ['a']))
    // Of Chrome and Safari, axios, Dart, Alamofire.
    for (const usual of ['----WebKitFormBoundary', 'axios-1.7-boundary-', 'dart-http-boundary-', 'alamofire.boundary.'])
      expect(digest(`${usual}7MA4YWxk`, ['a', 'b'])).to.equal(digest(`${usual}Tr0uGWx+`, ['a', 'b']))
    for (const other of ['boundary=Z;', 'x="boundary=Z";', 'boundary*=Z;', 'boundary*0=Z;', 'BOUNDARY =Z;']) {
      const type = `multipart/form-data; ${other} boundary=`
      expect(digest('X', ['a', 'b'], type), other).to.not.equal(digest('Y', ['a', 'b'], type))
    }
    expect(digest('X', ['a'], 'multipart/mixed; boundary=')).to.not.equal(digest('X', ['a']))
    for (const other of ['text/plain; boundary=', 'text/plain; multipart/form-data; boundary='])
      expect(digest('X', ['a'], other), other).to.not.equal(digest('Y', ['a'], other))
  })

  it('of a multipart body do not depend on its boundary, however its lines end, and whatever stands behind it in the type', () => {
    const digest = (boundary: string, line: string, end: string): string => {
      const body = `--${boundary}${line}${line}a${line}--${boundary}--${end}`
      const contentType = `multipart/form-data; boundary=${boundary};charset=utf-8`
      return fingerprint(partsOf({ contentType, body: { kind: 'raw', bytes: Buffer.from(body) } }), undefined)
    }
    for (const line of ['\r\n', '\n']) {
      for (const end of ['', line]) expect(digest('XX', line, end)).to.equal(digest('YYY', line, end))
    }
  })

  it('of a multipart body of more than a thousand boundaries depend on its boundary', () => {
    const digest = (boundary: string, found: number, type = boundary): string => {
      const bytes = Buffer.from(`--${boundary}\r\n`.repeat(found))
      const contentType = `multipart/form-data; boundary=${type}`
      return fingerprint(partsOf({ contentType, body: { kind: 'raw', bytes } }), undefined)
    }
    expect(digest('X', 1_000)).to.equal(digest('Y', 1_000))
    expect(digest('X', 1_001)).to.not.equal(digest('Y', 1_001))
    // The same bytes are another form to who looks for another boundary.
    expect(digest('X', 1_001)).to.not.equal(digest('X', 1_001, 'Y'))
  })

  it('of a form that was parsed do not depend on its boundary', () => {
    const digest = (boundary: string): string =>
      fingerprint(
        partsOf({
          contentType: `multipart/form-data; boundary=${boundary}`,
          body: { kind: 'parsed', value: { a: '1' } },
        }),
        undefined,
      )
    expect(digest('X')).to.equal(digest('Y'))
  })

  it('of two URLs are equal only if every parser reads the same out of both', () => {
    const app = express().set('query parser', 'extended')
    const extended = app.get('query parser fn') as (query: string) => unknown
    const grouped = (query: string): unknown => {
      const found = new URLSearchParams(query)
      return new Map([...new Set(found.keys())].sort().map(key => [key, found.getAll(key)]))
    }
    const parameter = fc
      .tuple(
        fc.oneof(
          fc.constantFrom('a', 'b', 'c', ''),
          fc.constantFrom('a', '%61', 'a[]', 'a[0]', 'a[b]', '[a]', 'a.b', '+a', '__proto__'),
        ),
        fc.constantFrom('', '=', '=1', '=2', '=1;a=2'),
      )
      .map(([key, value]) => `${key}${value}`)
    const digest = (query: string): string => fingerprint(partsOf({ url: `/?${query}` }), undefined)
    let equal = 0
    fc.assert(
      fc.property(fc.array(parameter, { maxLength: 4 }), fc.nat(), fc.nat(), (parameters, from, to) => {
        const moved = [...parameters]
        moved.splice(to % (parameters.length + 1), 0, ...moved.splice(from % (parameters.length + 1), 1))
        const [one, two] = [parameters.join('&'), moved.join('&')]
        if (digest(one) !== digest(two)) return true
        if (one !== two) equal++
        return [parse, grouped, extended].every(read => isDeepStrictEqual(read(one), read(two)))
      }),
      { numRuns: 3_000 },
    )
    expect(equal, 'pairs that were equal, and not the same').to.be.above(50)
    // Parsers stop after this many.
    const many = Array.from({ length: 1_000 }, (_, n) => `p${n}`).join('&')
    expect(digest(`z=1&${many}`)).to.not.equal(digest(`${many}&z=1`))
    expect(digest(`p999&${many.slice(0, -5)}`)).to.equal(digest(many))
    for (const plain of ['x-a', 'x_a', 'x~a', 'X1'])
      expect(digest(`${plain}=1&b=2`), plain).to.equal(digest(`b=2&${plain}=1`))
    // Some take it for another `&`.
    expect(digest('a=1;b=2&b=3')).to.not.equal(digest('b=3&a=1;b=2'))
    // Express and Koa take what follows for a fragment.
    expect(digest('a=1#&b=2')).to.not.equal(digest('b=2&a=1#'))
  })

  it('with a secret depend on all that they depend on without it', () => {
    const secret = 'x'.repeat(16)
    const [bytes, other] = [Buffer.from('a'), Buffer.from('b')]
    const digests = [
      partsOf({}),
      partsOf({ url: '/a' }),
      partsOf({ body: { kind: 'raw', bytes } }),
      partsOf({ body: { kind: 'raw', bytes: other } }),
      partsOf({ url: '/a', body: { kind: 'raw', bytes } }),
    ].map(given => fingerprint(given, secret))
    expect(new Set(digests).size).to.equal(digests.length)
  })

  it('with a secret cannot be computed without it', () => {
    fc.assert(
      fc.property(parts, fc.string({ minLength: 16 }), fc.string({ minLength: 16 }), (one, a, b) => {
        const withA = fingerprint(one, a)
        return withA !== fingerprint(one, undefined) && (withA === fingerprint(one, b)) === (a === b)
      }),
    )
  })

  it('a body that cannot be compared is an error that names the place and not the value', () => {
    const cycle: Record<string, unknown> = { secret: 'hidden' }
    cycle['self'] = [cycle]
    expect(() => canonicalise(cycle)).to.throw(TypeError, /a cycle at body\.self\[0\]$/)
    expect(() => canonicalise({ a: () => 1 })).to.throw(/a function at body\.a$/)
    expect(() => canonicalise({ List: new Map([[1, () => 1]]) })).to.throw(/a function at body\.List\.\*\[1\]$/)
    const failing = {
      get a(): never {
        throw new RangeError('its own')
      },
    }
    expect(() => canonicalise(failing)).to.throw(RangeError, /^its own$/)
    expect(() => canonicalise(new URL('http://h/'))).to.throw(/an instance of URL at body$/)
  })
})
