// Writes the operations of a call: one text for each, which begins with fields of fixed width.

import type { ClaimRequest } from '@dspinlock/core'

/** Operations, and the letters by which the script knows them. */
const letters = {
  claim: 'c',
  renew: 'n',
  settle: 's',
  release: 'r',
  handOn: 'h',
  leave: 'l',
  forget: 'f',
  inspect: 'i',
} as const

export type OperationName = keyof typeof letters

/** The operation's argument. `given` is made by `composeGiven`. */
export function composeRow(name: OperationName, given: string): string {
  return `${letters[name]}${given}`
}

/** The byte of an operation's letter, as the script sees it. */
export function codeOf(name: OperationName): number {
  return letters[name].charCodeAt(0)
}

/** What a claim, or a hand-over, asks for. */
type Wishes = Pick<ClaimRequest, 'wait' | 'takeRecord' | 'arrival'>

/** The character of digit 0 in base 64, followed by those of the other digits: the script reads such numbers by `string.byte`, without making texts. */
export const ZERO = 48
const MS_DIGITS = 6
const MAX_MS = 64 ** MS_DIGITS - 1

const NO_MS = digitOf(0).repeat(MS_DIGITS)

let lastMs = 0
let lastDigits = NO_MS

/** Remembers the last time, because leases are nearly always the same. */
function digitsOfMs(ms: number): string {
  if (ms === 0) return NO_MS
  if (ms !== lastMs) {
    const whole = Math.min(Math.max(0, Math.ceil(ms)), MAX_MS)
    let digits = ''
    for (let place = MS_DIGITS - 1; place >= 0; place--) digits += digitOf(Math.floor(whole / 64 ** place) % 64)
    lastMs = ms
    lastDigits = digits
  }
  return lastDigits
}

function digitOf(value: number): string {
  return String.fromCharCode(ZERO + value)
}

function lengthDigits(length: number): string {
  return digitOf(length >> 6) + digitOf(length & 63)
}

/**
 * The arguments of an operation, after its letter: the place of the dot in the token and the token's length (two digits each), the
 * wishes (1 to wait, plus 2 if there is an arrival; then `r` or `t`), a time in ms (six digits), `;`, the token, and what only this operation has (`rest`).
 */
export function composeGiven(token: string, ms: number, wishes: Wishes | undefined, rest: string): string {
  const dot = token.lastIndexOf('.') + 1
  const flags =
    wishes === undefined
      ? '0t'
      : `${(wishes.wait ? 1 : 0) + (wishes.arrival === 0 ? 0 : 2)}${wishes.takeRecord ? 'r' : 't'}`
  return `${lengthDigits(dot)}${lengthDigits(token.length)}${flags}${digitsOfMs(ms)};${token}${rest}`
}

/** The arguments of the same operation with another time. */
export function withMs(given: string, ms: number): string {
  return `${given.slice(0, 6)}${digitsOfMs(ms)}${given.slice(6 + MS_DIGITS)}`
}

/**
 * The arguments of a claim. After its token come `before`, its arrival if it has one, and its payload. `before` is what a hand-over
 * says about the hold that it ends.
 */
export function composeClaim(request: ClaimRequest, before = ''): string {
  const { token, leaseMs, payload, arrival } = request
  const since = arrival === 0 ? '' : `${arrival} `
  return composeGiven(token, leaseMs, request, `${before}${since}${encodePayload(payload)}`)
}

/** Escapes payloads with lone surrogates, which have no form in UTF-8 and would all become the same. */
function encodePayload(payload: string): string {
  return /\p{Surrogate}/u.test(payload) ? `\0${Buffer.from(payload, 'utf16le').toString('hex')}` : payload
}
