// One sequence of bytes for each value that a body parser can leave, and never the same for two of them.

import { createHash } from 'node:crypto'
import { UnhashableBodyError } from './messages.js'

const MAX_DEPTH = 200

/**
 * Each value is a type letter and its content, lengths first where they vary; the order of an object's keys is not kept.
 * @throws UnhashableBodyError naming the path for functions, symbols, cycles, and instances of unknown classes.
 */
export function canonicalise(value: unknown): string {
  return write(value, [], [])
}

function sized(letter: string, text: string): string {
  return `${letter}${text.length}:${text}`
}

/** How to get from the body to a value: names, places, and `<entry>` for what a Map or a Set has. Only an error reads it. */
type Trail = (string | number)[]

function describe(trail: Trail): string {
  return `body${trail.map(step => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`
}

function write(value: unknown, trail: Trail, ancestors: object[]): string {
  switch (typeof value) {
    case 'string':
      return sized('s', value)
    case 'number':
      return sized('n', Object.is(value, -0) ? '-0' : String(value))
    case 'bigint':
      return sized('i', String(value))
    case 'boolean':
      return value ? 'T' : 'F'
    case 'undefined':
      return 'U'
    case 'object':
      return value === null ? 'N' : writeObject(value, trail, ancestors)
    default:
      throw new UnhashableBodyError(describe(trail), `a ${typeof value}`)
  }
}

function writeObject(value: object, trail: Trail, ancestors: object[]): string {
  if (ancestors.includes(value)) throw new UnhashableBodyError(describe(trail), 'a cycle')
  if (ancestors.length >= MAX_DEPTH) throw new UnhashableBodyError(describe(trail), `more than ${MAX_DEPTH} levels`)
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return sized('b', `${value.constructor.name} ${createHash('sha256').update(bytes).digest('hex')}`)
  }
  if (value instanceof Date) return sized('d', String(value.getTime()))
  ancestors.push(value)
  const writePart = (part: unknown, step: string | number): string => {
    trail.push(step)
    const text = write(part, trail, ancestors)
    trail.pop()
    return text
  }
  let text: string
  if (Array.isArray(value)) {
    text = `a${value.length}:`
    for (let at = 0; at < value.length; at++) text += writePart(value[at], at)
  } else if (value instanceof Map || value instanceof Set) {
    const items = [...value].map(item => writePart(item, '<entry>'))
    text = `${value instanceof Map ? 'm' : 'e'}${items.length}:${items.sort().join('')}`
  } else {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && prototype !== Object.prototype && !isBare(prototype)) {
      throw new UnhashableBodyError(describe(trail), `an instance of ${value.constructor?.name ?? 'a class'}`)
    }
    const keys = Object.keys(value).sort()
    text = `o${keys.length}:`
    for (const key of keys) text += sized('k', key) + writePart((value as Record<string, unknown>)[key], key)
  }
  ancestors.pop()
  return text
}

/** Fast parsers (fast-querystring, for one) make objects whose prototype is an object with nothing in it. */
function isBare(prototype: unknown): boolean {
  return Object.getPrototypeOf(prototype) === null && Reflect.ownKeys(prototype as object).length === 0
}
