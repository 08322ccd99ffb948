// One sequence of bytes for each value that a body parser can leave, and never the same for two of them.

import { createHash } from 'node:crypto'
import { UnhashableBodyError } from './messages.js'

const MAX_DEPTH = 200

/**
 * Each value is a type letter and its content, lengths first where they vary; the order of an object's keys is not kept.
 * @throws UnhashableBodyError naming the path for functions, symbols, cycles, and instances of unknown classes.
 */
export function canonicalise(value: unknown): string {
  const out: string[] = []
  write(value, out, [], [])
  return out.join('')
}

function sized(letter: string, text: string): string {
  return `${letter}${text.length}:${text}`
}

/** How to get from the body to a value: names, places, and `<entry>` for what a Map or a Set has. Only an error reads it. */
type Trail = (string | number)[]

function describe(trail: Trail): string {
  return `body${trail.map(step => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('')}`
}

function write(value: unknown, out: string[], trail: Trail, ancestors: object[]): void {
  switch (typeof value) {
    case 'string':
      out.push(sized('s', value))
      return
    case 'number':
      out.push(sized('n', Object.is(value, -0) ? '-0' : String(value)))
      return
    case 'bigint':
      out.push(sized('i', String(value)))
      return
    case 'boolean':
      out.push(value ? 'T' : 'F')
      return
    case 'undefined':
      out.push('U')
      return
    case 'object':
      if (value === null) out.push('N')
      else writeObject(value, out, trail, ancestors)
      return
    default:
      throw new UnhashableBodyError(describe(trail), `a ${typeof value}`)
  }
}

function writeObject(value: object, out: string[], trail: Trail, ancestors: object[]): void {
  if (ancestors.includes(value)) throw new UnhashableBodyError(describe(trail), 'a cycle')
  if (ancestors.length >= MAX_DEPTH) throw new UnhashableBodyError(describe(trail), `more than ${MAX_DEPTH} levels`)
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    out.push(sized('b', `${value.constructor.name} ${createHash('sha256').update(bytes).digest('hex')}`))
    return
  }
  if (value instanceof Date) {
    out.push(sized('d', String(value.getTime())))
    return
  }
  ancestors.push(value)
  if (Array.isArray(value)) {
    out.push(`a${value.length}:`)
    for (let at = 0; at < value.length; at++) writePart(value[at], out, trail, at, ancestors)
  } else if (value instanceof Map || value instanceof Set) {
    const items = [...value].map(item => {
      const part: string[] = []
      writePart(item, part, trail, '<entry>', ancestors)
      return part.join('')
    })
    out.push(`${value instanceof Map ? 'm' : 'e'}${items.length}:`, ...items.sort())
  } else {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype !== null && prototype !== Object.prototype && !isBare(prototype)) {
      throw new UnhashableBodyError(describe(trail), `an instance of ${value.constructor?.name ?? 'a class'}`)
    }
    const keys = Object.keys(value).sort()
    out.push(`o${keys.length}:`)
    for (const key of keys) {
      out.push(sized('k', key))
      writePart((value as Record<string, unknown>)[key], out, trail, key, ancestors)
    }
  }
  ancestors.pop()
}

function writePart(value: unknown, out: string[], trail: Trail, step: string | number, ancestors: object[]): void {
  trail.push(step)
  write(value, out, trail, ancestors)
  trail.pop()
}

/** Fast parsers (fast-querystring, for one) make objects whose prototype is an object with nothing in it. */
function isBare(prototype: unknown): boolean {
  return Object.getPrototypeOf(prototype) === null && Reflect.ownKeys(prototype as object).length === 0
}
