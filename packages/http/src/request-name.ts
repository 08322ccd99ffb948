// The names of a request: the key under which it enters, and the payload that goes with it.

import type { IncomingMessage } from 'node:http'
import { publishTrouble } from '@dspinlock/core'
import { bothOf, listRouting } from './conventional-headers.js'
import { digestHeader } from './digest.js'
import { methodOf } from './eligible.js'
import type { Exchange } from './exchange.js'
import { type BodyInput, type FingerprintParts, fingerprint, type Identity } from './fingerprint.js'
import { UnhashableBodyError, warn } from './messages.js'
import type { GuardSettings } from './options.js'
import { isSafeMethod } from './replayable.js'

export interface NameParts {
  readonly body: BodyInput | 'unlockable'
  readonly identity: Identity
  readonly customKey: string | undefined
  readonly idempotencyKey: string | undefined
  /** The request headers that earlier records turned out to vary by, with digests of this request's values. */
  readonly variant: readonly (readonly [string, string])[]
}

export interface RequestName {
  readonly key: string
  /** A digest that requests with the same key must have in common; empty if the key says all. */
  readonly payload: string
}

/** Undefined if the request cannot be told apart from others. */
export function nameRequest<Req, Res>(
  exchange: Exchange<Req, Res>,
  settings: GuardSettings<Req, Res>,
  { body, identity, customKey, idempotencyKey, variant }: NameParts,
): RequestName | undefined {
  const { req, url, currentUrl } = exchange
  const { headers } = req
  // With a key of the user's own, the key says what the work depends on, so no header is a way past the lock. A replayed response may depend on more.
  const isNamed = customKey !== undefined && settings.policy.duplicates !== 'replay'
  const routing = isNamed ? [] : listRouting(req)
  const digestAs = (known: BodyInput, varying: Varying, operation: string | undefined): string =>
    fingerprint(
      {
        duplicates: settings.policy.duplicates,
        // A HEAD gets here only to look for the record of the same GET.
        method: req.method === 'HEAD' ? 'GET' : methodOf(req),
        host: bothOf(headers.host ?? headers[':authority'] ?? '', headers[':authority']),
        url,
        rewrittenUrl: currentUrl === url ? undefined : currentUrl,
        version: exchange.version,
        contentType: headers['content-type'],
        contentEncoding: headers['content-encoding'],
        body: known,
        identity,
        customKey,
        idempotencyKey: operation,
        variant: varying,
      },
      settings.secret,
    )
  const digestAll = (): string | undefined => {
    if (body === 'unlockable') return undefined
    try {
      const varying = isNamed ? [] : routing.concat(listPreconditions(req, settings.secret), variant)
      return digestAs(body, varying, undefined)
    } catch (error) {
      if (!(error instanceof UnhashableBodyError)) throw error
      publishTrouble('http', 'fingerprint', error)
      warn('DSPINLOCK_W_BODY_UNHASHABLE')
      return undefined
    }
  }
  if (idempotencyKey === undefined) {
    const key = digestAll()
    return key === undefined ? undefined : { key, payload: '' }
  }
  const key = digestAs({ kind: 'none' }, routing, idempotencyKey)
  // If the body cannot be compared, it is still the same operation, because the client says so.
  return { key, payload: digestAll() ?? '' }
}

type Varying = FingerprintParts['variant']

/** Preconditions that may fail: a 412 is only for requests with the same ones (RFC 9110, section 13.1). */
const MAY_FAIL = ['if-match', 'if-unmodified-since']
/** For a read, the last two only save a transfer, so there they are compared with the record instead. */
const MAY_FAIL_OR_SAVE = [...MAY_FAIL, 'if-none-match', 'if-modified-since']

/** Preconditions are part of the key: a request with another one is another request. */
function listPreconditions({ method, headers }: IncomingMessage, secret: string | undefined): [string, string][] {
  const found: [string, string][] = []
  for (const name of isSafeMethod(method) ? MAY_FAIL : MAY_FAIL_OR_SAVE) {
    if (headers[name] !== undefined) found.push([name, digestHeader(headers, name, secret)])
  }
  return found
}
