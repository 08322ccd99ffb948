// The names a request goes by: the key it is entered under, and the payload that goes with it.

import { publishTrouble } from '@dspinlock/core'
import { warnOnce } from '@dspinlock/core/support'
import { listRouting } from './conventional-headers.js'
import type { Exchange } from './exchange.js'
import { type BodyInput, fingerprint, type Identity } from './fingerprint.js'
import { UnhashableBodyError, warnings } from './messages.js'
import type { GuardSettings } from './options.js'
import { digestHeader, isSafeMethod } from './replayable.js'

export interface NameParts {
  readonly body: BodyInput | 'unlockable'
  readonly identity: Identity
  readonly customKey: string | undefined
  readonly idempotencyKey: string | undefined
  /** What earlier records turned out to vary by. */
  readonly variant: readonly (readonly [string, string])[]
}

export interface RequestName {
  readonly key: string
  /** What requests with the same key must have in common; empty if nothing more. */
  readonly payload: string
}

/** Undefined if the request cannot be told from others. */
export function nameRequest<Req, Res>(
  exchange: Exchange<Req, Res>,
  settings: GuardSettings<Req, Res>,
  { body, identity, customKey, idempotencyKey, variant }: NameParts,
): RequestName | undefined {
  const { req, url, currentUrl, version } = exchange
  const { headers } = req
  const authority = headers[':authority']
  const parts = {
    duplicates: settings.policy.duplicates,
    // A HEAD gets here only to look for its GET's record.
    method: req.method === 'HEAD' ? 'GET' : (req.method ?? ''),
    host: headers.host ?? (typeof authority === 'string' ? authority : ''),
    url,
    rewrittenUrl: currentUrl === url ? undefined : currentUrl,
    version,
    contentType: headers['content-type'],
    contentEncoding: headers['content-encoding'],
    identity,
    customKey,
  }
  // Whoever names the work itself has said what it depends on: nobody gets past such a lock by a header. A response may depend on more.
  const isNamed = customKey !== undefined && settings.policy.duplicates !== 'replay'
  const routing = isNamed ? [] : listRouting(req)
  const digestAll = (): string | undefined => {
    if (body === 'unlockable') return undefined
    try {
      return fingerprint(
        {
          ...parts,
          body,
          variant: isNamed ? [] : [...routing, ...listPreconditions(exchange, settings.secret), ...variant],
          idempotencyKey: undefined,
        },
        settings.secret,
      )
    } catch (error) {
      if (!(error instanceof UnhashableBodyError)) throw error
      publishTrouble('http', 'fingerprint', error)
      warnOnce('DSPINLOCK_W_BODY_UNHASHABLE', warnings.DSPINLOCK_W_BODY_UNHASHABLE)
      return undefined
    }
  }
  if (idempotencyKey === undefined) {
    const key = digestAll()
    return key === undefined ? undefined : { key, payload: '' }
  }
  const key = fingerprint({ ...parts, body: { kind: 'none' }, variant: routing, idempotencyKey }, settings.secret)
  // A body that cannot be compared is still the same operation: the client says so.
  return { key, payload: digestAll() ?? '' }
}

/** A 412 is only for who asked under the same ones (RFC 9110, section 13.1). */
const MAY_FAIL = ['if-match', 'if-unmodified-since']
/** On a read they save a transfer, and are compared with the record instead. */
const MAY_SAVE = ['if-none-match', 'if-modified-since']

/** A request under another precondition is another request. */
function listPreconditions<Req, Res>({ req }: Exchange<Req, Res>, secret: string | undefined): [string, string][] {
  return (isSafeMethod(req.method) ? MAY_FAIL : [...MAY_FAIL, ...MAY_SAVE])
    .filter(name => req.headers[name] !== undefined)
    .map(name => [name, digestHeader(req.headers, name, secret)])
}
