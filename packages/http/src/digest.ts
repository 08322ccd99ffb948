// Digests of values that must not be in a store themselves: SHA-256, or HMAC-SHA-256 with the option `secret`.

import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export function openDigest(secret: string | undefined): Hash | Hmac {
  return secret === undefined ? createHash('sha256') : createHmac('sha256', secret)
}

/**
 * The digest is compared instead of the value itself, because a request header may be a secret and has no place in a store. With
 * `secret`, somebody who can read the store cannot even try values.
 */
export function digestHeader(headers: IncomingHttpHeaders, name: string, secret: string | undefined): string {
  // The name comes from a response or a record and may be anything, `constructor` for example.
  const value = Object.hasOwn(headers, name) ? headers[name] : undefined
  if (value === undefined) return ''
  return openDigest(secret)
    .update(Array.isArray(value) ? value.join('\n') : value, 'latin1')
    .digest('base64url')
}
