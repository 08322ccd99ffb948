// Names keys in Redis: reversibly, in one cluster slot with their waiters, and so that no two keys have the same name.

import { createHash } from 'node:crypto'

/** Longer keys are named by their digest. Redis would take them, but every command would carry them twice. */
const MAX_PLAIN_LENGTH = 512

/** Characters that are escaped: braces would end the hash tag, `%` starts an escape, and the others are invisible in a terminal. */
const ESCAPED = /[%{}\s\p{C}\uD800-\uDFFF]/gu

/** The name of a key's state. */
export function nameState(prefix: string, key: string): string {
  return `${prefix}:{${encodeKey(key)}}`
}

/**
 * Both names of a key: that of its state, and that of its crowd, which is the set of those that wait. The braces make both hash to one
 * slot (Redis Cluster hash tags).
 */
export function namesOf(state: string): readonly [state: string, crowd: string] {
  return [state, `${state}:w`]
}

/** Matches keys in which nothing has to be escaped, as a shortcut, because most keys are digests. */
const PLAIN = /^[\w.:/-]*$/

function encodeKey(key: string): string {
  if (key.length > MAX_PLAIN_LENGTH) return `#${createHash('sha256').update(Buffer.from(key, 'utf16le')).digest('hex')}`
  // `=` keeps an empty key from an empty tag, and a key that looks like a digest from being one.
  return PLAIN.test(key) ? `=${key}` : `=${key.replace(ESCAPED, escape)}`
}

/** The key with this name; undefined if the name is not ours. A key that is named by its digest is returned as `#digest`. */
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

/** A SCAN pattern that only the text itself matches. */
export function asPattern(text: string): string {
  return text.replace(/[\\*?[\]]/g, '\\$&')
}
