// Encodes a recorded response as one binary frame, and decodes it without trusting what comes from a store.

import { viewOf } from '@dspinlock/core/support'
import { type HeaderPairs, isStorable, isToken } from './replayable.js'

/**
 * The form in which the handler gave the body to its framework: bytes, a string, or a value that the framework renders as JSON; `none`:
 * it left the body to the framework. With it, middleware mounted outside can treat a replay as it treats the original.
 */
export type BodyForm = (typeof FORMS)[number]

const FORMS = ['bytes', 'text', 'json', 'none'] as const

export interface RecordedResponse {
  readonly status: number
  readonly message: string
  /** In the handler's order and case, duplicates kept. */
  readonly headers: HeaderPairs
  /** Headers that were set before our place in the middleware order and that the handler removed. */
  readonly removed: readonly string[]
  /** Request headers that the response varies by and the key does not cover, with a digest of the holder's value. */
  readonly vary: readonly (readonly [name: string, digest: string])[]
  readonly body: Uint8Array
  readonly form: BodyForm
  /** The span of the hold that left the record, as a W3C `traceparent`, if the hold was traced. */
  readonly traceparent?: string | undefined
}

export type HttpRecord =
  | { readonly kind: 'response'; readonly response: RecordedResponse }
  /** The work is done, but its response was not kept. */
  | { readonly kind: 'tombstone' }

/** `D`, `S`, the version of this format, and the kind. */
const MAGIC = [0x44, 0x53, 3] as const
const TOMBSTONE = 0
/** The index of the body's form in `FORMS` is added to it. */
const RESPONSE = 1
/** Added to the kind: a traceparent follows the strings. */
const TRACED = 0x40
/** W3C Trace Context, section 3.2, version 00. */
const TRACEPARENT = /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/

/** What comes before the lengths: magic, kind, status and three counts. */
const LENGTHS_AT = 12

export const tombstone: Uint8Array = Uint8Array.from([...MAGIC, TOMBSTONE])

/**
 * Layout: magic, kind, status (u16), how many headers, removed and vary there are (u16 each); the lengths (u32) of all strings; the strings, in latin1: message,
 * headers, removed, vary, traceparent if there is one; body to the end. All strings are written in one go, because a call into Node costs more than the copying.
 */
export function encodeRecord(response: RecordedResponse): Uint8Array {
  const { status, headers, removed, vary, body, traceparent } = response
  const strings = [response.message, ...headers.flat(), ...removed, ...vary.flat()]
  if (traceparent !== undefined) strings.push(traceparent)
  const text = strings.join('')
  const frame = Buffer.allocUnsafe(LENGTHS_AT + 4 * strings.length + text.length + body.byteLength)
  frame.set(MAGIC)
  frame[3] = (traceparent === undefined ? 0 : TRACED) | (RESPONSE + FORMS.indexOf(response.form))
  let at = 4
  for (const number of [status, headers.length, removed.length, vary.length]) at = frame.writeUInt16BE(number, at)
  for (const { length } of strings) at = frame.writeUInt32BE(length, at)
  // Node puts headers on the wire as latin1 (RFC 9110, section 5.5, calls bytes outside ASCII opaque).
  frame.write(text, at, 'latin1')
  frame.set(body, at + text.length)
  return frame
}

/** Undefined for anything that `encodeRecord` did not write, or that could put anything other than headers on the wire. */
export function decodeRecord(bytes: Uint8Array): HttpRecord | undefined {
  const frame = viewOf(bytes)
  if (!startsWith(frame, MAGIC)) return undefined
  if (frame[3] === TOMBSTONE) return frame.length === 4 ? { kind: 'tombstone' } : undefined
  const kind = frame[3] ?? 0
  const form = FORMS[(kind & ~TRACED) - RESPONSE]
  if (form === undefined || frame.length < LENGTHS_AT) return undefined
  const status = frame.readUInt16BE(4)
  const headersLength = 2 * frame.readUInt16BE(6)
  const removedLength = frame.readUInt16BE(8)
  const varyLength = 2 * frame.readUInt16BE(10)
  const found = readStrings(frame, 1 + headersLength + removedLength + varyLength + (kind & TRACED ? 1 : 0))
  if (found === undefined || status < 200 || status > 599) return undefined
  const { strings, bodyAt } = found
  const message = strings.shift() ?? ''
  const headers = toPairs(strings.splice(0, headersLength))
  const removed = strings.splice(0, removedLength)
  const vary = toPairs(strings.splice(0, varyLength))
  const [traceparent] = strings
  if (!headers.every(isStorable) || !removed.every(isToken) || !vary.every(([name]) => isToken(name))) return undefined
  if (traceparent !== undefined && !TRACEPARENT.test(traceparent)) return undefined
  const body = frame.subarray(bodyAt)
  return { kind: 'response', response: { status, message, headers, removed, vary, body, form, traceparent } }
}

/** Byte by byte, because each replay asks, and a view of the first bytes would cost more than the rest of reading them. */
export function startsWith(bytes: Uint8Array, magic: readonly number[] | Uint8Array): boolean {
  return magic.every((byte, at) => bytes[at] === byte)
}

/** Undefined if the frame is too short for the strings, or one of them could begin another line. */
function readStrings(frame: Buffer, count: number): { strings: string[]; bodyAt: number } | undefined {
  const textAt = LENGTHS_AT + 4 * count
  if (frame.length < textAt) return undefined
  const ends: number[] = []
  let end = 0
  for (let at = LENGTHS_AT; at < textAt; at += 4) ends.push((end += frame.readUInt32BE(at)))
  if (frame.length < textAt + end) return undefined
  const text = frame.toString('latin1', textAt, textAt + end)
  // RFC 9110, section 5.5: no control characters but the tab, so that no value can begin another line.
  if (/[^\t\x20-\x7e\x80-\xff]/.test(text)) return undefined
  return { strings: ends.map((to, at) => text.slice(ends[at - 1] ?? 0, to)), bodyAt: textAt + end }
}

function toPairs(strings: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let at = 1; at < strings.length; at += 2) pairs.push([strings[at - 1] as string, strings[at] as string])
  return pairs
}
