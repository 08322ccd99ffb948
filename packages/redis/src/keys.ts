// How a key is named in Redis: reversible, in one cluster slot with its waiters, never mistaken for another.

import { createHash } from 'node:crypto'

/** Longer keys are named by their digest; Redis would take them, but every command would carry them twice. */
const MAX_PLAIN_LENGTH = 512

/** What must not appear as it is: braces would end the hash tag, `%` starts an escape, the rest hides in a terminal. */
const ESCAPED = /[%{}\s\p{C}\uD800-\uDFFF]/gu

/** The name of a key's state. */
export function nameState(prefix: string, key: string): string {
  return `${prefix}:{${encodeKey(key)}}`
}

/**
 * All names of a key, by that of its state; the other one is that of its crowd, those who wait. The braces make both hash to one slot
 * (Redis Cluster hash tags).
 */
export function namesOf(state: string): readonly [state: string, crowd: string] {
  return [state, `${state}:w`]
}

/** Nothing in it has to be escaped; most keys are digests, and this says so sooner. */
const PLAIN = /^[\w.:/-]*$/

function encodeKey(key: string): string {
  if (key.length > MAX_PLAIN_LENGTH) return `#${createHash('sha256').update(Buffer.from(key, 'utf16le')).digest('hex')}`
  // `=` keeps an empty key from an empty tag, and a key that looks like a digest from being one.
  return PLAIN.test(key) ? `=${key}` : `=${key.replace(ESCAPED, escape)}`
}

/** Undefined if the name is none of ours. A key known by its digest only is given as `#digest`. */
export function decodeName(prefix: string, name: string): string | undefined {
  const start = `${prefix}:{`
  if (!name.startsWith(start) || !name.endsWith('}')) return undefined
  const encoded = name.slice(start.length, -1)
  if (encoded.startsWith('#')) return encoded
  if (!encoded.startsWith('=')) return undefined
  return encoded
    .slice(1)
    .replace(/%([0-9a-f]{4})/g, (_, unit: string) => String.fromCharCode(Number.parseInt(unit, 16)))
}

function escape(character: string): string {
  let escaped = ''
  for (let at = 0; at < character.length; at++) escaped += `%${character.charCodeAt(at).toString(16).padStart(4, '0')}`
  return escaped
}

/** A pattern for SCAN that finds the states of a prefix and few others. */
export function scanPattern(prefix: string): string {
  return `${asPattern(prefix)}:{*}`
}

/** A pattern that only the text itself matches. */
export function asPattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
