// The digest from which a request's key is made: equal for duplicates, and different for all other requests.

import { hash } from 'node:crypto'
import type { Duplicates } from '@dspinlock/core'
import { canonicalise } from './canonical.js'
import type { NamedValues } from './conventional-headers.js'
import { openDigest } from './digest.js'
import { readBoundary, splitAt } from './multipart.js'

export type Identity =
  | { readonly kind: 'public' }
  | { readonly kind: 'custom'; readonly id: string }
  /** The credentials that the request came with; none: nobody in particular. */
  | { readonly kind: 'headers'; readonly credentials: NamedValues }

export type BodyInput =
  | { readonly kind: 'none' }
  | { readonly kind: 'raw'; readonly bytes: Buffer }
  | { readonly kind: 'parsed'; readonly value: unknown }

export interface FingerprintParts {
  readonly duplicates: Duplicates
  readonly method: string
  readonly host: string
  /** Path and query as received. */
  readonly url: string
  /** Path and query as something in front of us has rewritten them, if it has. */
  readonly rewrittenUrl: string | undefined
  /** The route's version, if method, host and path do not tell which route it is. */
  readonly version: string | undefined
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  readonly body: BodyInput
  readonly identity: Identity
  /** The user's own key, which stands for path, query and body. */
  readonly customKey: string | undefined
  /** The client's key, which stands for query and body. */
  readonly idempotencyKey: string | undefined
  /** Request headers that the response varies by and that no other part covers. */
  readonly variant: readonly (readonly [name: string, value: string | undefined])[]
}

/** Changes whenever the encoding does, so that servers of two versions never mistake each other's keys. */
const VERSION = 'dspinlock-2'

/**
 * SHA-256, or HMAC-SHA-256 with `secret`, of all parts, each with its length in front so that none can run into the next. The parts
 * make one text, which is hashed as UTF-8, or as UTF-16 if it has lone surrogates, because UTF-8 does not tell those apart. Both
 * encodings begin with the same ASCII text, so they differ in the second byte. The bytes of a raw body follow.
 * @throws UnhashableBodyError for a parsed body that cannot be compared.
 */
export function fingerprint(parts: FingerprintParts, secret: string | undefined): string {
  const { identity, body, customKey, idempotencyKey } = parts
  let text =
    encodeField(VERSION) +
    encodeField(parts.duplicates) +
    encodeField(parts.method) +
    encodeField(parts.host.toLowerCase()) +
    encodeField(identity.kind)
  if (identity.kind === 'custom') text += encodeField(identity.id)
  if (identity.kind === 'headers') text += encodePairs(identity.credentials)
  // A form that is sent twice has another boundary each time.
  const multipart = readBoundary(parts.contentType)
  const pieces = body.kind === 'raw' && multipart !== undefined ? splitAt(body.bytes, multipart.boundary) : undefined
  const isSplit = pieces !== undefined || (multipart !== undefined && body.kind !== 'raw')
  const isWhole = customKey === undefined && idempotencyKey === undefined
  if (isWhole || idempotencyKey !== undefined) {
    text += encodeField(isWhole ? 'request' : 'idempotency')
    text += encodeUrl(parts.url, isWhole) + encodeUrl(parts.rewrittenUrl, isWhole)
    text += encodeField(parts.version)
    if (!isWhole) text += encodeField(idempotencyKey)
    else text += encodeField(isSplit ? multipart?.rest : parts.contentType) + encodeField(parts.contentEncoding)
  } else {
    text += encodeField('key') + encodeField(customKey)
  }
  text += encodePairs(parts.variant)
  if (isWhole && body.kind === 'parsed') text += `parsed ${encodeField(canonicalise(body.value))}`
  if (!isWhole || body.kind !== 'raw') return digest(text, [], secret)
  const raw = pieces ?? [body.bytes]
  // The number of pieces and all their lengths come before the first byte, so that pieces cannot run into one another.
  text += `raw ${raw.length}:`
  for (const piece of raw) text += `${piece.byteLength}:`
  return digest(text, raw, secret)
}

/** The input of a digest is put together here; input that does not fit is hashed piece by piece. */
const assembled = Buffer.allocUnsafeSlow(32_768)

function digest(text: string, bytes: readonly Buffer[], secret: string | undefined): string {
  const said = (text as unknown as { isWellFormed(): boolean }).isWellFormed() ? text : Buffer.from(text, 'utf16le')
  if (secret === undefined && bytes.length === 0) return hash('sha256', said, 'base64url')
  let size = said.length * (typeof said === 'string' ? UTF8_BYTES : 1)
  for (const piece of bytes) size += piece.byteLength
  if (secret === undefined && size <= assembled.length) {
    let at = typeof said === 'string' ? assembled.write(said) : said.copy(assembled)
    for (const piece of bytes) at += piece.copy(assembled, at)
    return hash('sha256', assembled.subarray(0, at), 'base64url')
  }
  const hasher = openDigest(secret)
  hasher.update(said)
  for (const piece of bytes) hasher.update(piece)
  return hasher.digest('base64url')
}

/** The most bytes that one UTF-16 unit takes. */
const UTF8_BYTES = 3

function encodePairs(pairs: FingerprintParts['variant']): string {
  let text = encodeField(String(pairs.length))
  for (const [name, value] of pairs) text += encodeField(name) + encodeField(value)
  return text
}

function encodeField(field: string | undefined): string {
  return field === undefined ? '-' : `${field.length}:${field}`
}

function encodeUrl(url: string | undefined, withQuery: boolean): string {
  const [path, query] = url === undefined ? [] : splitUrl(url)
  return encodeField(path) + (withQuery ? encodeField(query) : '')
}

/** Names that every parser takes as they are: not encoded, and without brackets or dots, which would make them parts of another name. */
const PLAIN_NAME = /^[\w~-]*$/

/** Parsers drop the parameters after the first thousand, so the order decides which ones they keep. */
const MAX_PARAMETERS = 1_000

/**
 * The path, and the query if there is one, with its parameters sorted by name. Equal names keep their order, and nothing is decoded.
 * If a parser could take two names for the same one, or end the query before its last parameter, the query stays as it is, because its order
 * then is part of the request.
 */
function splitUrl(url: string): [path: string, query?: string] {
  const at = url.indexOf('?')
  if (at < 0) return [url]
  const path = url.slice(0, at)
  const query = url.slice(at + 1)
  if (!query.includes('&')) return [path, query]
  const nameOf = (parameter: string): string => parameter.replace(/=.*/s, '')
  const compare = (a: string, b: string): number => {
    const [first, second] = [nameOf(a), nameOf(b)]
    return first < second ? -1 : first > second ? 1 : 0
  }
  const parameters = query.split('&')
  if (
    parameters.length > MAX_PARAMETERS ||
    /[;#]/.test(query) ||
    !parameters.every(parameter => PLAIN_NAME.test(nameOf(parameter)))
  )
    return [path, query]
  // Array.prototype.sort is stable.
  return [path, parameters.sort(compare).join('&')]
}
