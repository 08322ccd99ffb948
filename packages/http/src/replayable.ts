// The predicates that decide what may be stored and shown to somebody else, each written once.

export type HeaderPairs = readonly (readonly [name: string, value: string])[]

export interface ResponseFacts {
  readonly status: number
  readonly headers: HeaderPairs
  /** The handler ended it; it was not cut short. */
  readonly complete: boolean
  readonly hasTrailers: boolean
  readonly tooLarge: boolean
  /** Size of the body, in bytes. */
  readonly bodyBytes: number
  /** Several people may have the same key: with `identity: 'public'`, or as nobody in particular. */
  readonly isShared: boolean
}

/** Whether a header's name is `name`, which is in lower case. */
export function isNamed(found: string, name: string): boolean {
  return found.length === name.length && found.toLowerCase() === name
}

/** The value of the first header of that name, which is in lower case. */
export function valueOf(headers: HeaderPairs, name: string): string | undefined {
  return headers.find(([found]) => isNamed(found, name))?.[1]
}

/** May duplicates be given this response? Of a failure (`isFailure`) this is not asked. */
export function isReplayable(facts: ResponseFacts): boolean {
  const { status, headers } = facts
  if (!facts.complete || facts.tooLarge || facts.hasTrailers || !isOfDeclaredLength(facts)) return false
  // 304 and 206 answer the caller's own conditions, and 1xx is no answer yet.
  if (status < 200 || status > 599 || status === 206 || status === 304) return false
  // With `*`, or with anything that is no field name (RFC 9110, section 12.5.5), nobody can tell what the response varies by.
  if (!membersOf(headers, 'vary').every(name => name !== '*' && isToken(name))) return false
  // A coding of the transfer is not stored, and without it the bytes mean nothing.
  if (membersOf(headers, 'transfer-encoding').some(coding => coding !== 'chunked')) return false
  if (!facts.isShared) return true
  if (isCallersOwn(status)) return false
  return !headers.some(
    ([name, value]) => isNamed(name, 'set-cookie') || (isNamed(name, 'cache-control') && NOT_FOR_ALL.test(value)),
  )
}

/** RFC 9112, section 8: a body of another length than its head declares is incomplete, or runs into what comes after it. */
function isOfDeclaredLength({ status, headers, bodyBytes }: ResponseFacts): boolean {
  const declared = valueOf(headers, 'content-length')
  return declared === undefined || hasNoBody(status) || Number(declared) === bodyBytes
}

/** Whether Node sends no body with this status, whatever the handler writes, and no length either (RFC 9110, section 8.6). */
export function hasNoBody(status: number): boolean {
  return status === 204
}

/** Matches the directives wherever they stand: even malformed, quoted or with an argument they are meant. */
const NOT_FOR_ALL = /(?<![\w-])(?:no-store|private)(?![\w-])/i

/** Statuses that say that the work was not begun and to try again. RFC 6585 forbids caches to store the last three. */
export const NOT_BEGUN: ReadonlySet<number> = new Set([408, 425, 428, 429, 431])

/**
 * Whether the status says that the work was not done: then no record is left, and the next duplicate runs. 499 is what nginx, tRPC and gRPC's
 * gateways have for work that was given up because its client had left: nobody got that answer, and whoever tries again wants the work.
 */
export function isFailure(status: number, keepsFailures: boolean): boolean {
  return (status >= 499 && !keepsFailures) || NOT_BEGUN.has(status)
}

/**
 * Whether the status says that something was wrong with this one request: another one may have sent what it lacked. 404 and 410 say
 * that nothing is there, whoever asks (RFC 9110, section 15.1, makes both cacheable).
 */
export function isCallersOwn(status: number): boolean {
  return status >= 400 && status < 500 && status !== 404 && status !== 410
}

/** RFC 9110, section 9.2.1. */
export function isSafeMethod(method: string | undefined): boolean {
  return /^(?:GET|HEAD|OPTIONS|TRACE)$/i.test(method ?? '')
}

/**
 * Whether duplicates run after a success that cannot be replayed, rather than being told that the work is done. Reading twice does no
 * harm; an effect must not happen twice.
 */
export function mayRunAgain(method: string | undefined, option: 'run' | 'refuse' | undefined): boolean {
  return option === undefined ? isSafeMethod(method) : option === 'run'
}

/** Headers of one connection (RFC 9110, section 7.6.1), of one user, or made anew for each replay. */
const NEVER_STORED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'set-cookie',
  'date',
  'content-length',
])

/** Whether a record may hold a header of this name. */
export function isStorable([name]: HeaderPairs[number]): boolean {
  return isToken(name) && !NEVER_STORED.has(name.toLowerCase())
}

export function selectStorable(headers: HeaderPairs): HeaderPairs {
  const listed = membersOf(headers, 'connection')
  return headers.filter(header => isStorable(header) && !listed.includes(header[0].toLowerCase()))
}

/** The request headers that the response varies by and that the key does not cover, in lower case and sorted. */
export function listUnkeyedVary(headers: HeaderPairs, covered: ReadonlySet<string>): string[] {
  const named = membersOf(headers, 'vary')
  // Not every client can decode the body, and a handler that encodes it may have forgotten Vary.
  if (valueOf(headers, 'content-encoding') !== undefined) named.push('accept-encoding')
  return named.length === 0 ? named : [...new Set(named)].filter(name => !covered.has(name)).sort()
}

function membersOf(headers: HeaderPairs, name: string): string[] {
  const members: string[] = []
  for (const [found, value] of headers) {
    if (!isNamed(found, name)) continue
    for (const member of value.split(',')) {
      const trimmed = member.trim().toLowerCase()
      if (trimmed !== '') members.push(trimmed)
    }
  }
  return members
}

/** Whether `name` can be a field name (RFC 9110, section 5.6.2). */
export function isToken(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/.test(name)
}
