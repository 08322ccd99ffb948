// The client's Idempotency-Key: the rules for it, and reading it from a request's headers.

import type { IncomingHttpHeaders } from 'node:http'
import { boolean, integer, optional, optionError, parseOptions } from '@dspinlock/core/support'
import { parseItem } from 'structured-headers'

/** What an Idempotency-Key has to be; see draft-ietf-httpapi-idempotency-key-header-07, section 2. */
export interface IdempotencyKeyOptions {
  /** Requests with an unsafe method must have a key, or they get 400. Default false: a request without a key is not guarded. */
  readonly required?: boolean
  /** A key must be a structured-field string (`"…"`, RFC 9651 section 3.3.3), as the draft says. Default false: the quotes may be missing. */
  readonly strict?: boolean
  /** Shortest key, in characters. Default 1. */
  readonly minLength?: number
  /** Longest key, in characters. Default 255. */
  readonly maxLength?: number
  /** What a key must match, for example a UUID; begin it with `^` and end it with `$`, or the key may have more than that. Without the flags g and y. */
  readonly pattern?: RegExp
  /** Where your documentation explains these rules; refusals link to it (`rel="describedby"`). */
  readonly docsUrl?: string
}

const shape = {
  required: boolean(false),
  strict: boolean(false),
  minLength: integer(1, 1, 1_024),
  maxLength: integer(255, 1, 1_024),
  pattern: optional('a regular expression without the flags g and y', isPattern),
  docsUrl: optional('an http(s) URL', isWebUrl),
} as const

export interface IdempotencyKeyRules {
  readonly required: boolean
  readonly strict: boolean
  readonly minLength: number
  readonly maxLength: number
  readonly pattern: RegExp | undefined
  readonly docsUrl: string | undefined
}

/** @throws TypeError for anything but `'optional'`, `'required'` and valid IdempotencyKeyOptions. */
export function readIdempotencyKeyRules(given: unknown, name: string): IdempotencyKeyRules | undefined {
  if (given === undefined) return undefined
  if (given === 'optional' || given === 'required') return parseOptions(name, { required: given === 'required' }, shape)
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw wrongRulesError(name, given)
  }
  const rules = parseOptions(name, given, shape)
  if (rules.minLength > rules.maxLength) {
    throw optionError(`${name}.minLength`, rules.minLength, `at most maxLength (${rules.maxLength})`)
  }
  return rules
}

export function wrongRulesError(name: string, given: unknown): TypeError {
  return optionError(name, given, "'optional', 'required' or an object of options")
}

export type IdempotencyKeyRead = { readonly value: string } | 'key-missing' | 'key-invalid'

/** A key without quotes: visible characters that cannot be the beginning, the end or the parameters of a structured field. */
const BARE = /^[!#-+\--:<-[\]-~]+$/

export function readIdempotencyKey(headers: IncomingHttpHeaders, rules: IdempotencyKeyRules): IdempotencyKeyRead {
  const field = headers['idempotency-key']
  if (field === undefined) return 'key-missing'
  // Node joins repeated headers with a comma, which is not allowed after an item nor in a bare key.
  const value = typeof field === 'string' ? parseKey(field, rules.strict) : undefined
  if (value === undefined || value.length < rules.minLength || value.length > rules.maxLength) return 'key-invalid'
  return rules.pattern?.test(value) === false ? 'key-invalid' : { value }
}

function parseKey(field: string, strict: boolean): string | undefined {
  const trimmed = field.trim()
  if (!strict && BARE.test(trimmed)) return trimmed
  try {
    const [value] = parseItem(trimmed)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

function isPattern(given: unknown): given is RegExp {
  return given instanceof RegExp && !given.global && !given.sticky
}

function isWebUrl(given: unknown): given is string {
  // The URL goes into a Link header between angle brackets.
  return typeof given === 'string' && URL.canParse(given) && /^https?:\/\/[!-;=?-~]+$/i.test(given)
}
