// A record is data, never trusted: what was encoded is decoded again, and anything else is no record.

import { validateHeaderName, validateHeaderValue } from 'node:http'
import { decodeRecord, encodeRecord, type RecordedResponse, tombstone } from '@dspinlock/http/support'
import { expect } from 'chai'
import fc from 'fast-check'

const fieldName = fc.string({ unit: fc.constantFrom(...Array.from("aZ0!#$%&'*+-.^_`|~")), minLength: 1, maxLength: 8 })
const fieldValue = fc.string({ unit: fc.constantFrom('\t', ' ', '~', 'a', '"', '\x80', 'ÿ'), maxLength: 12 })
const hex = (length: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdef')), minLength: length, maxLength: length })
const traceparent = fc.tuple(hex(32), hex(16), hex(2)).map(([trace, span, flags]) => `00-${trace}-${span}-${flags}`)
const plain: fc.Arbitrary<RecordedResponse> = fc.record({
  status: fc.integer({ min: 200, max: 599 }),
  message: fieldValue,
  headers: fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 4 }),
  removed: fc.array(fieldName, { maxLength: 3 }),
  vary: fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 3 }),
  body: fc.uint8Array({ maxLength: 30 }),
  form: fc.constantFrom('none', 'bytes', 'text', 'json'),
})
const response: fc.Arbitrary<RecordedResponse> = fc
  .tuple(plain, fc.option(traceparent, { nil: undefined }))
  .map(([given, place]) => ({ ...given, traceparent: place }))

/** Whether Node would put the value on the wire unchanged. */
function isSafe({ headers, removed, vary, message }: RecordedResponse): boolean {
  try {
    for (const [name, value] of headers) {
      validateHeaderName(name)
      validateHeaderValue(name, value)
    }
    for (const name of [...removed, ...vary.map(([varied]) => varied)]) validateHeaderName(name)
    validateHeaderValue('x', message)
    return true
  } catch {
    return false
  }
}

describe('records', () => {
  it('come back as they were written', () => {
    fc.assert(
      fc.property(response, given => {
        const decoded = decodeRecord(encodeRecord(given))
        expect(decoded?.kind).to.equal('response')
        if (decoded?.kind !== 'response') return
        expect({ ...decoded.response, body: Uint8Array.from(decoded.response.body) }).to.deep.equal(given)
      }),
      { numRuns: 1_000 },
    )
    expect(decodeRecord(tombstone)).to.deep.equal({ kind: 'tombstone' })
  })

  it('cut short anywhere before the body are none', () => {
    fc.assert(
      fc.property(response, given => {
        const bytes = encodeRecord({ ...given, body: new Uint8Array() })
        for (let length = 0; length < bytes.byteLength; length++) {
          if (decodeRecord(bytes.subarray(0, length)) !== undefined) return false
        }
        return true
      }),
      { numRuns: 200 },
    )
  })

  it('changed anywhere never become a header that could begin another line', () => {
    fc.assert(
      fc.property(
        response,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (given, changes) => {
          const bytes = Buffer.from(encodeRecord(given))
          for (const [at, value] of changes) bytes[at % bytes.length] = value
          const decoded = decodeRecord(bytes)
          return decoded?.kind !== 'response' || isSafe(decoded.response)
        },
      ),
      { numRuns: 5_000 },
    )
  })

  it('are not made of arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), bytes => decodeRecord(bytes) === undefined),
      { numRuns: 5_000 },
    )
  })

  it('with a line break in a header, of a status or with a header that is never kept, are none', () => {
    const base = { message: 'OK', removed: [], vary: [], body: new Uint8Array(), form: 'bytes' } as const
    const withHeader = (name: string, value: string): unknown =>
      decodeRecord(encodeRecord({ ...base, status: 200, headers: [[name, value]] }))
    for (const value of ['a\r\nb: c', 'a\nb', 'a\0']) expect(withHeader('x', value)).to.equal(undefined)
    for (const name of ['', 'a b', 'a:', 'a\r\n', 'ü']) expect(withHeader(name, 'x')).to.equal(undefined)
    // With two lengths, or a length and chunks, the rest of the body would be another response to some; Node throws for a Trailer beside a length.
    for (const name of [
      'Transfer-Encoding',
      'content-length',
      'Trailer',
      'CONNECTION',
      'Keep-Alive',
      'Proxy-Authenticate',
      'Proxy-Authorization',
      'Proxy-Connection',
      'TE',
      'Upgrade',
      'Set-Cookie',
      'Date',
    ])
      expect(withHeader(name, 'x'), name).to.equal(undefined)
    for (const status of [0, 100, 199, 600, 65_535]) {
      expect(decodeRecord(encodeRecord({ ...base, status, headers: [] })), String(status)).to.equal(undefined)
    }
  })

  it('of a version or a form that is not known are none', () => {
    const bytes = encodeRecord({
      status: 204,
      message: '',
      headers: [],
      removed: [],
      vary: [],
      body: new Uint8Array(),
      form: 'bytes',
    })
    expect(decodeRecord(bytes)?.kind).to.equal('response')
    for (const [at, value] of [
      [2, 4],
      [3, 5],
      [3, 0x45],
      [3, 0xff],
    ] as const) {
      const changed = Uint8Array.from(bytes)
      changed[at] = value
      expect(decodeRecord(changed), `${value} at ${at}`).to.equal(undefined)
    }
  })

  it('are written as servers of the same version read them', () => {
    const written = encodeRecord({
      status: 201,
      message: 'Made',
      headers: [['X-A', 'ä']],
      removed: ['x-b'],
      vary: [['accept', 'd']],
      body: Buffer.from('body'),
      form: 'json',
      traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    })
    // If this has to change, so has the version in front, so that servers of two versions never misread each other's records.
    const expected = [
      `445303 43 00c9 0001 0001 0001 00000004 00000003 00000001 00000003 00000006 00000001 00000037`,
      Buffer.from(`MadeX-A\xe4x-bacceptd00-${'a'.repeat(32)}-${'b'.repeat(16)}-01body`, 'latin1').toString('hex'),
    ]
    expect(Buffer.from(written).toString('hex')).to.equal(expected.join('').replaceAll(' ', ''))
  })

  it('with a traceparent that is none are none', () => {
    const given = {
      status: 200,
      message: '',
      headers: [],
      removed: [],
      vary: [],
      body: new Uint8Array(),
      form: 'none',
    } as const
    for (const wrong of [
      '',
      'x',
      `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01\r\n`,
      `01-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      ` 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-x`,
    ]) {
      expect(decodeRecord(encodeRecord({ ...given, traceparent: wrong }))).to.equal(undefined)
    }
  })
})
