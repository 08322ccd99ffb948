// How the operations of a call are written into it: one text for each, whose beginning has fixed places.

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

/** The operation's argument. `given`: what `composeGiven` makes. */
export function composeRow(name: OperationName, given: string): string {
  return `${letters[name]}${given}`
}

/** For the script, which is given the byte of a letter. */
export function codeOf(name: OperationName): number {
  return letters[name].charCodeAt(0)
}

/** What a claim, or a hand-over, says beside its token. */
type Wishes = Pick<ClaimRequest, 'wait' | 'takeRecord' | 'arrival'>

/** Digits of base 64 are the characters from here on: numbers that the script reads by `string.byte`, without making a text of each. */
export const ZERO = 48
const MS_DIGITS = 6
const MAX_MS = 64 ** MS_DIGITS - 1

const NO_MS = digitOf(0).repeat(MS_DIGITS)

let lastMs = 0
let lastDigits = NO_MS

/** Leases are nearly always the same. */
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
 * What every operation is given: after its letter, the place of the dot in the token and the token's length (two digits each), the
 * wishes (1 to wait, and 2 if it has an arrival; `r` or `t`), a time in ms (six digits), `;` and the token; behind it, what only this operation has (`rest`).
 */
export function composeGiven(token: string, ms: number, wishes: Wishes | undefined, rest: string): string {
  const dot = token.lastIndexOf('.') + 1
  const flags =
    wishes === undefined
      ? '0t'
      : `${(wishes.wait ? 1 : 0) + (wishes.arrival === 0 ? 0 : 2)}${wishes.takeRecord ? 'r' : 't'}`
  return `${lengthDigits(dot)}${lengthDigits(token.length)}${flags}${digitsOfMs(ms)};${token}${rest}`
}

/**
 * What a claim is given. Behind its token stand `before`, its arrival if it has one, and its payload. `before`: what a hand-over
 * says of the hold that it ends.
 */
export function composeClaim(request: ClaimRequest, before = ''): string {
  const { token, leaseMs, payload, arrival } = request
  const since = arrival === 0 ? '' : `${arrival} `
  return composeGiven(token, leaseMs, request, `${before}${since}${encodePayload(payload)}`)
}

/** Lone surrogates have no UTF-8, and would all become the same. */
function encodePayload(payload: string): string {
  return /\p{Surrogate}/u.test(payload) ? `\0${Buffer.from(payload, 'utf16le').toString('hex')}` : payload
}
