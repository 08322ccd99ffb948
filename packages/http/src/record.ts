// A recorded response as one binary frame, and back: what comes from a store is data, never trusted.

import { isToken } from './replayable.js'

/**
 * What the handler handed to its framework, so that what is mounted outside can treat a replay as it treats the original:
 * bytes, a string, or a value that the framework renders as JSON; `none`: it left that to the framework.
 */
export type BodyForm = (typeof FORMS)[number]

const FORMS = ['bytes', 'text', 'json', 'none'] as const

export interface RecordedResponse {
  readonly status: number
  readonly message: string
  /** In the handler's order and case, duplicates kept. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  /** Headers that were set before our place in the middleware order and that the handler removed. */
  readonly removed: readonly string[]
  /** Request headers that the response varies by and the key does not cover, with a digest of the holder's value. */
  readonly vary: readonly (readonly [name: string, digest: string])[]
  readonly body: Uint8Array
  readonly form: BodyForm
  /** Where the span of the hold that left it is, as a W3C `traceparent`, if somebody traced it. */
  readonly traceparent?: string
}

export type HttpRecord =
  | { readonly kind: 'response'; readonly response: RecordedResponse }
  /** The work is done, its response was not kept. */
  | { readonly kind: 'tombstone' }

/** `D`, `S`, the version of this format, and the kind. */
const MAGIC = [0x44, 0x53, 2] as const
const TOMBSTONE = 0
/** Plus the place of the body's form in `FORMS`. */
const RESPONSE = 1
/** Added to the kind: a traceparent follows the strings. */
const TRACED = 0x40
/** W3C Trace Context, section 3.2, version 00. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** What comes before the strings: magic, kind, status and three counts. */
const STRINGS_AT = 12

export const tombstone: Uint8Array = Uint8Array.from([...MAGIC, TOMBSTONE])

/** Layout: magic, kind, status (u16), message, headers, removed, vary (each: count u16, then strings), traceparent if there is one, body to the end. A string: length u32, latin1. */
export function encodeRecord(response: RecordedResponse): Uint8Array {
  const strings: string[] = [response.message]
  for (const [name, value] of response.headers) strings.push(name, value)
  strings.push(...response.removed)
  for (const [name, digest] of response.vary) strings.push(name, digest)
  const traced = response.traceparent === undefined ? 0 : TRACED
  if (response.traceparent !== undefined) strings.push(response.traceparent)
  let size = STRINGS_AT + response.body.byteLength
  for (const text of strings) size += 4 + text.length
  const frame = Buffer.allocUnsafe(size)
  frame.set(MAGIC)
  frame[3] = traced | (RESPONSE + FORMS.indexOf(response.form))
  frame.writeUInt16BE(response.status, 4)
  frame.writeUInt16BE(response.headers.length, 6)
  frame.writeUInt16BE(response.removed.length, 8)
  frame.writeUInt16BE(response.vary.length, 10)
  // In one go: each write of its own costs more than all that is written.
  let text = ''
  for (const part of strings) text += lengthOf(part) + part
  // What Node puts on the wire as a header is latin1 (RFC 9110, section 5.5, calls the rest opaque).
  const at = STRINGS_AT + frame.write(text, STRINGS_AT, 'latin1')
  frame.set(response.body, at)
  return frame
}

/** As four characters that are written as the four bytes of a u32. */
function lengthOf({ length }: string): string {
  return String.fromCharCode(length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff)
}

/** Undefined for anything that `encodeRecord` did not write, or that could put something else than headers on the wire. */
export function decodeRecord(bytes: Uint8Array): HttpRecord | undefined {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (frame.length < 4 || frame[0] !== MAGIC[0] || frame[1] !== MAGIC[1] || frame[2] !== MAGIC[2]) return undefined
  if (frame[3] === TOMBSTONE) return frame.length === 4 ? { kind: 'tombstone' } : undefined
  const kind = frame[3] ?? 0
  const form = FORMS[(kind & ~TRACED) - RESPONSE]
  if (form === undefined || frame.length < STRINGS_AT) return undefined
  const reader = new StringReader(frame, STRINGS_AT)
  const status = frame.readUInt16BE(4)
  const message = reader.next()
  const headers = reader.pairs(frame.readUInt16BE(6))
  const removed = reader.strings(frame.readUInt16BE(8))
  const vary = reader.pairs(frame.readUInt16BE(10))
  const traceparent = (kind & TRACED) === 0 ? undefined : reader.next()
  if (!reader.ok) return undefined
  if (status < 200 || status > 599 || !isFieldValue(message)) return undefined
  for (const [name, value] of headers) if (!isToken(name) || !isFieldValue(value)) return undefined
  if (!removed.every(isToken) || !vary.every(([name]) => isToken(name))) return undefined
  if (traceparent !== undefined && !TRACEPARENT.test(traceparent)) return undefined
  const body = frame.subarray(reader.at)
  const response = { status, message, headers, removed, vary, body, form }
  return { kind: 'response', response: traceparent === undefined ? response : { ...response, traceparent } }
}

/** RFC 9110, section 5.5: no control characters but the tab, so that no value can begin another line. */
function isFieldValue(value: string): boolean {
  return !/[^\t\x20-\x7e\x80-\xff]/.test(value)
}

class StringReader {
  readonly #frame: Buffer
  at: number
  /** False once the frame ended too early. */
  ok = true

  constructor(frame: Buffer, at: number) {
    this.#frame = frame
    this.at = at
  }

  /** Empty once the frame ended too early. */
  next(): string {
    const start = this.at + 4
    const end = this.ok && start <= this.#frame.length ? start + this.#frame.readUInt32BE(this.at) : Infinity
    this.ok = end <= this.#frame.length
    if (!this.ok) return ''
    this.at = end
    return this.#frame.toString('latin1', start, end)
  }

  strings(count: number): string[] {
    const strings: string[] = []
    for (let n = 0; n < count && this.ok; n++) strings.push(this.next())
    return strings
  }

  pairs(count: number): [string, string][] {
    const pairs: [string, string][] = []
    for (let n = 0; n < count && this.ok; n++) pairs.push([this.next(), this.next()])
    return pairs
  }
}
