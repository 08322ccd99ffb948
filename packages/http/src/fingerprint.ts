// The digest of a request from which its key is made: equal for duplicates, and for nothing else.

import { createHash, createHmac, hash } from 'node:crypto'
import type { Duplicates } from '@dspinlock/core'
import { canonicalise } from './canonical.js'
import type { NamedValues } from './conventional-headers.js'
import { readBoundary, splitAt } from './multipart.js'

export type Identity =
  | { readonly kind: 'public' }
  | { readonly kind: 'custom'; readonly id: string | undefined }
  /** Whatever credentials the request came with; none: nobody in particular. */
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
  /** What something in front has made of them, if it has. */
  readonly rewrittenUrl: string | undefined
  /** Of the route, where the path does not say all. */
  readonly version: string | undefined
  readonly contentType: string | undefined
  readonly contentEncoding: string | undefined
  readonly body: BodyInput
  readonly identity: Identity
  /** The user's own key, which stands for path, query and body. */
  readonly customKey: string | undefined
  /** The client's key, which stands for query and body. */
  readonly idempotencyKey: string | undefined
  /** Request headers that the response varies by and that nothing else here covers. */
  readonly variant: readonly (readonly [name: string, value: string | undefined])[]
}

/** Changes whenever the encoding does, so that servers of two versions never mistake each other's keys. */
const VERSION = 'dspinlock-1'

/**
 * SHA-256, or HMAC-SHA-256 with `secret`, of all parts, each with its length in front so that none can run into the next.
 * @throws UnhashableBodyError for a parsed body that cannot be compared.
 */
export function fingerprint(parts: FingerprintParts, secret: string | undefined): string {
  const { identity, body, version } = parts
  const fields: (string | undefined)[] = [
    VERSION,
    parts.duplicates,
    parts.method,
    parts.host.toLowerCase(),
    identity.kind,
  ]
  if (identity.kind === 'custom') fields.push(identity.id)
  if (identity.kind === 'headers') pushPairs(fields, identity.credentials)
  // The same form sent twice has two boundaries.
  const multipart = readBoundary(parts.contentType)
  const pieces = body.kind === 'raw' && multipart !== undefined ? splitAt(body.bytes, multipart.boundary) : undefined
  const isSplit = pieces !== undefined || (multipart !== undefined && body.kind !== 'raw')
  const contentType = isSplit ? multipart?.rest : parts.contentType
  const isWhole = parts.customKey === undefined && parts.idempotencyKey === undefined
  if (parts.customKey === undefined || parts.idempotencyKey !== undefined) {
    const [path, query] = splitUrl(parts.url)
    const [rewrittenPath, rewrittenQuery] =
      parts.rewrittenUrl === undefined ? [undefined, undefined] : splitUrl(parts.rewrittenUrl)
    if (parts.idempotencyKey !== undefined)
      fields.push('idempotency', path, rewrittenPath, version, parts.idempotencyKey)
    else fields.push('request', path, query, rewrittenPath, rewrittenQuery, version, contentType, parts.contentEncoding)
  } else {
    fields.push('key', parts.customKey)
  }
  pushPairs(fields, parts.variant)
  let text = ''
  for (const field of fields) text += encodeField(field)
  if (isWhole && body.kind === 'parsed') text += `parsed ${encodeField(canonicalise(body.value))}`
  // Lone surrogates would all become the same bytes in UTF-8.
  const hashed: Buffer[] = [Buffer.from(text, 'utf16le')]
  if (isWhole && body.kind === 'raw') {
    for (const piece of pieces ?? [body.bytes]) {
      hashed.push(Buffer.from(`raw ${piece.byteLength}:`, 'utf16le'), piece)
    }
  }
  return digest(hashed, secret)
}

/** Below this many bytes, copying them together costs less than a hash object does. */
const ONE_SHOT_BYTES = 32_768

function digest(pieces: readonly Buffer[], secret: string | undefined): string {
  const [only] = pieces
  if (secret === undefined) {
    if (pieces.length === 1 && only !== undefined) return hash('sha256', only, 'base64url')
    let size = 0
    for (const piece of pieces) size += piece.byteLength
    if (size <= ONE_SHOT_BYTES) return hash('sha256', Buffer.concat(pieces, size), 'base64url')
  }
  const hasher = secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
  for (const piece of pieces) hasher.update(piece)
  return hasher.digest('base64url')
}

function pushPairs(
  fields: (string | undefined)[],
  pairs: readonly (readonly [name: string, value: string | undefined])[],
): void {
  fields.push(String(pairs.length))
  for (const [name, value] of pairs) fields.push(name, value)
}

function encodeField(field: string | undefined): string {
  return field === undefined ? '-' : `${field.length}:${field}`
}

/** Names that every parser takes as they are: neither encoded, nor with brackets or dots that make them parts of another. */
const PLAIN_NAME = /^[\w~-]*$/

/**
 * The query's parameters in the order of their names; equal names keep their order, and nothing is decoded. Where a parser could take
 * two names for one, the order is part of the request.
 */
function splitUrl(url: string): [path: string, query: string | undefined] {
  const at = url.indexOf('?')
  if (at < 0) return [url, undefined]
  const path = url.slice(0, at)
  const query = url.slice(at + 1)
  if (!query.includes('&')) return [path, query]
  const nameOf = (parameter: string): string => {
    const end = parameter.indexOf('=')
    return end < 0 ? parameter : parameter.slice(0, end)
  }
  const compare = (a: string, b: string): number => {
    const [first, second] = [nameOf(a), nameOf(b)]
    return first < second ? -1 : first > second ? 1 : 0
  }
  const parameters = query.split('&')
  if (query.includes(';') || !parameters.every(parameter => PLAIN_NAME.test(nameOf(parameter)))) return [path, query]
  // Array.prototype.sort is stable.
  return [path, parameters.sort(compare).join('&')]
}
