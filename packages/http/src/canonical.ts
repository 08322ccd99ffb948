// Turns each value that a body parser can leave into one text; two different values never give the same text.

import { createHash } from 'node:crypto'
import { isRootPrototype, viewOf } from '@dspinlock/core/support'
import { UnhashableBodyError } from './messages.js'

const MAX_DEPTH = 200

/**
 * Each value becomes a type letter and its content, with the length in front where it varies; the order of an object's keys does not matter.
 * @throws UnhashableBodyError naming the path for functions, symbols, cycles, and instances of unknown classes.
 */
export function canonicalise(value: unknown): string {
  return write(value, [])
}

function write(value: unknown, ancestors: object[]): string {
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
      return value === null ? 'N' : writeObject(value, ancestors)
    default:
      throw new UnhashableBodyError(`a ${typeof value}`)
  }
}

function sized(letter: string, text: string): string {
  return `${letter}${text.length}:${text}`
}

function writeObject(value: object, ancestors: object[]): string {
  if (ancestors.includes(value)) throw new UnhashableBodyError('a cycle')
  if (ancestors.length >= MAX_DEPTH) throw new UnhashableBodyError(`more than ${MAX_DEPTH} levels`)
  let step: string | number | undefined
  ancestors.push(value)
  try {
    let text: string
    if (Array.isArray(value)) {
      text = `a${value.length}:`
      for (let at = 0; at < value.length; at++) {
        step = at
        text += write(value[at], ancestors)
      }
    } else if (isPlain(value)) {
      const keys = Object.keys(value).sort()
      text = `o${keys.length}:`
      for (const key of keys) {
        step = key
        text += sized('k', key) + write((value as Record<string, unknown>)[key], ancestors)
      }
    } else if (value instanceof Map || value instanceof Set) {
      step = ''
      const items = [...value].map(item => write(item, ancestors))
      text = `${value instanceof Map ? 'm' : 'e'}${items.length}:${items.sort().join('')}`
    } else {
      text = writeLeaf(value)
    }
    ancestors.pop()
    return text
  } catch (error) {
    if (step === undefined || !(error instanceof UnhashableBodyError)) throw error
    // Property names come from the client, and this text goes into logs.
    const part = typeof step === 'number' ? `[${step}]` : `.${/^[a-z]\w{0,30}$/i.test(step) ? step : '*'}`
    throw new UnhashableBodyError(error.what, part + error.path)
  }
}

/** For objects that have no parts: dates and binary data. */
function writeLeaf(value: object): string {
  if (value instanceof Date) return sized('d', String(value.getTime()))
  if (!ArrayBuffer.isView(value))
    throw new UnhashableBodyError(`an instance of ${value.constructor?.name ?? 'a class'}`)
  return sized('b', `${value.constructor.name} ${createHash('sha256').update(viewOf(value)).digest('hex')}`)
}

/** Whether an object was made by `{}`, or has a prototype that adds nothing, or none. */
export function isPlain(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value)
  return prototype === null || isRootPrototype(prototype)
}
