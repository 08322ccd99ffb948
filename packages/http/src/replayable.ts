// What may be stored and shown to somebody else: the predicates that decide, each written once.

import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

export type HeaderPairs = readonly (readonly [name: string, value: string])[]

export interface ResponseFacts {
  readonly status: number
  readonly headers: HeaderPairs
  /** The handler ended it; it was not cut short. */
  readonly complete: boolean
  readonly hasTrailers: boolean
  readonly tooLarge: boolean
  /** Of the body, in bytes. */
  readonly bodyBytes: number
  /** The same answer is for everybody: `identity: 'public'`. */
  readonly isPublic: boolean
  /** 500 and above count as answers: `serverErrors: 'keep'`. */
  readonly keepsFailures: boolean
}

/** May duplicates be given this response? */
export function isReplayable(facts: ResponseFacts): boolean {
  const { status, headers } = facts
  if (!facts.complete || facts.tooLarge || facts.hasTrailers || !isOfDeclaredLength(facts)) return false
  // A 304 and a 206 answer the caller's own conditions; 1xx is no answer yet; what failed is for the next one to try.
  if (status < 200 || status === 206 || status === 304 || isFailure(status, facts.keepsFailures)) return false
  if (hasMember(headers, 'vary', '*')) return false
  if (!facts.isPublic) return true
  if (headers.some(([name]) => name.toLowerCase() === 'set-cookie')) return false
  return !hasMember(headers, 'cache-control', 'no-store') && !hasMember(headers, 'cache-control', 'private')
}

/** RFC 9112, section 8: a body of another length than its head declares is incomplete, or runs into what comes after it. */
function isOfDeclaredLength({ status, headers, bodyBytes }: ResponseFacts): boolean {
  const declared = headers.find(([name]) => name.toLowerCase() === 'content-length')?.[1]
  return declared === undefined || status === 204 || Number(declared) === bodyBytes
}

/** The work was not done: nothing is left, and the next duplicate runs. */
export function isFailure(status: number, keepsFailures: boolean): boolean {
  return status >= 500 && !keepsFailures
}

/** RFC 9110, section 9.2.1. */
export function isSafeMethod(method: string | undefined): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'TRACE'
}

/**
 * What becomes of a success that cannot be replayed: duplicates run (`pass`), or are told that it is done (`tombstone`).
 * Reading twice does no harm; an effect must not happen twice.
 */
export function whenUnreplayable(
  method: string | undefined,
  option: 'run' | 'refuse' | undefined,
): 'pass' | 'tombstone' {
  if (option !== undefined) return option === 'run' ? 'pass' : 'tombstone'
  return isSafeMethod(method) ? 'pass' : 'tombstone'
}

/** Of one connection (RFC 9110, section 7.6.1), of one user, or made anew for each replay. */
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
  'age',
  'content-length',
])

export function selectStorable(headers: HeaderPairs): [string, string][] {
  const listed = new Set(membersOf(headers, 'connection'))
  return headers
    .filter(([name]) => !NEVER_STORED.has(name.toLowerCase()) && !listed.has(name.toLowerCase()))
    .map(([name, value]) => [name, value])
}

/** The request headers named by Vary that the key does not cover, in lower case and sorted. */
export function listUnkeyedVary(headers: HeaderPairs, covered: ReadonlySet<string>): string[] {
  return [...new Set(membersOf(headers, 'vary'))].filter(name => !covered.has(name)).sort()
}

/** Compared instead of the value itself: a request header may be a secret and has no place in a store. */
export function digestHeader(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name]
  if (value === undefined) return ''
  return createHash('sha256')
    .update(Array.isArray(value) ? value.join('\n') : value, 'latin1')
    .digest('base64url')
}

function hasMember(headers: HeaderPairs, name: string, member: string): boolean {
  // `private` may come with an argument or in odd case; anything that begins with it counts.
  return membersOf(headers, name).some(found => found === member || found.startsWith(`${member}=`))
}

function membersOf(headers: HeaderPairs, name: string): string[] {
  return headers
    .filter(([found]) => found.toLowerCase() === name)
    .flatMap(([, value]) => value.split(','))
    .map(member => member.trim().toLowerCase())
    .filter(member => member !== '')
}
