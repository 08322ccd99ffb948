// The hash of any value: the SHA-256 of a text that is different for any two different values.

import { createHash } from 'node:crypto'
import { endianness } from 'node:os'
import { viewOf } from '../bytes.js'
import { NotHashableError } from '../errors.js'
import { type Kind, kindOf } from './kinds.js'
import { pathTo } from './path.js'

/** Changes whenever the encoding does, so that processes of two versions never mistake each other's hashes. */
const VERSION = 'dspinlock-value-1:'
/** Deeper values would exhaust the stack. */
const MAX_DEPTH = 500

/** An object that provides its own hash. */
interface HasHashCode {
  hashCode(): unknown
}

/**
 * 64 hexadecimal digits that are the same in every process, on every machine and in every version, for equal values only.
 *
 * Taken: strings, numbers, bigints, booleans, null, undefined, arrays, plain objects (the order of keys does not matter),
 * Map and Set (neither does theirs), Date, URL, Buffer, typed arrays, DataView, ArrayBuffer, in each other, and objects with
 * a method `hashCode()`, whose result is hashed instead of them. Types are told apart: `1`, `'1'`, `1n`, `true`, `[1]` and
 * `new Set([1])` all differ, as do a Buffer and a Uint8Array of the same bytes, `0` and `-0`, `{}` and `{ a: undefined }`, a
 * hole and undefined. NaN equals itself.
 * @throws NotHashableError naming the path of anything else: functions, symbols, cycles, instances of other classes.
 */
export function hashValue(value: unknown): string {
  const out: string[] = [VERSION]
  write(value, out, 'value', new Set())
  // UTF-16, because in UTF-8 all lone surrogates become the same bytes.
  return createHash('sha256').update(out.join(''), 'utf16le').digest('hex')
}

/** Writes a value as a type letter and its content, with the length in front where it varies, so that values cannot run into one another. */
function write(value: unknown, out: string[], path: string, ancestors: Set<object>): void {
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
      else writeObject(value, out, path, ancestors)
      return
    default:
      throw new NotHashableError(path, `a ${typeof value}`)
  }
}

function sized(letter: string, text: string): string {
  return `${letter}${text.length}:${text}`
}

function writeObject(value: object, out: string[], path: string, ancestors: Set<object>): void {
  if (ancestors.has(value)) throw new NotHashableError(path, 'a cycle')
  if (ancestors.size >= MAX_DEPTH) throw new NotHashableError(path, `more than ${MAX_DEPTH} levels deep`)
  ancestors.add(value)
  const kind = kindOf(value)
  if (hasHashCode(value)) {
    out.push('h')
    write(readHashCode(value, path), out, `${path}.hashCode()`, ancestors)
  } else if (kind === 'TypedArray') {
    writeBytes(value as TypedArray, out, (value as TypedArray)[Symbol.toStringTag])
  } else {
    if (kind === undefined) throw new NotHashableError(path, `an instance of ${nameOf(value)}`)
    const writer: Writer = writers[kind]
    writer(value as never, out, path, ancestors)
  }
  ancestors.delete(value)
}

type Writer = (value: never, out: string[], path: string, ancestors: Set<object>) => unknown

const writers = {
  Object: writePlain,
  Array: writeArray,
  Map: writeMap,
  Set: writeSet,
  Date: (date: Date, out) => out.push(sized('d', String(date.getTime()))),
  URL: (url: URL, out) => out.push(sized('u', url.href)),
  Buffer: (buffer: Buffer, out) => writeBytes(buffer, out, 'Buffer'),
  DataView: (view: DataView, out) => writeBytes(view, out, 'DataView'),
  ArrayBuffer: (bytes: ArrayBuffer, out) => writeBytes(new Uint8Array(bytes), out, 'ArrayBuffer'),
} satisfies Record<Exclude<Kind, 'TypedArray'>, Writer>

function writeArray(value: readonly unknown[], out: string[], path: string, ancestors: Set<object>): void {
  out.push(`a${value.length}:`)
  let present = 0
  for (let at = 0; at < value.length; at++) {
    if (!Object.hasOwn(value, at)) {
      out.push('H')
      continue
    }
    present++
    write(value[at], out, pathTo(path, at), ancestors)
  }
  if (Reflect.ownKeys(value).length !== present + 1) throw new NotHashableError(path, 'an array with named properties')
}

function writePlain(value: Record<string, unknown>, out: string[], path: string, ancestors: Set<object>): void {
  for (const symbol of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, symbol)) {
      throw new NotHashableError(`${path}[${String(symbol)}]`, 'a property named by a symbol')
    }
  }
  // In the default order, which is by code units and depends on no locale.
  const keys = Object.keys(value).sort()
  out.push(`o${keys.length}:`)
  for (const key of keys) {
    out.push(sized('k', key))
    write(value[key], out, pathTo(path, key), ancestors)
  }
}

function writeMap(value: ReadonlyMap<unknown, unknown>, out: string[], path: string, ancestors: Set<object>): void {
  const entries: string[] = []
  for (const [key, item] of value) {
    const at = `${path}.<entry ${entries.length}>`
    const part: string[] = []
    write(key, part, `${at}.key`, ancestors)
    write(item, part, `${at}.value`, ancestors)
    entries.push(part.join(''))
  }
  writeSorted('m', entries, out)
}

function writeSet(value: ReadonlySet<unknown>, out: string[], path: string, ancestors: Set<object>): void {
  const items: string[] = []
  for (const item of value) {
    const part: string[] = []
    write(item, part, `${path}.<entry ${items.length}>`, ancestors)
    items.push(part.join(''))
  }
  writeSorted('e', items, out)
}

function writeSorted(letter: string, parts: string[], out: string[]): void {
  out.push(`${letter}${parts.length}:`)
  for (const part of parts.sort()) out.push(part)
}

function writeBytes(value: ArrayBufferView, out: string[], type: string): void {
  let bytes = viewOf(value)
  const width = (value as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1
  // So that the same numbers have the same hash on machines of either byte order.
  if (width > 1 && endianness() === 'BE') bytes = swap(Buffer.from(bytes), width)
  out.push(sized('b', `${type} ${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`))
}

function swap(bytes: Buffer<ArrayBuffer>, width: number): Buffer<ArrayBuffer> {
  if (width === 2) bytes.swap16()
  else if (width === 4) bytes.swap32()
  else bytes.swap64()
  return bytes
}

type TypedArray = ArrayBufferView & { readonly [Symbol.toStringTag]: string }

function hasHashCode(value: object): value is HasHashCode {
  return typeof (value as Partial<HasHashCode>).hashCode === 'function'
}

function readHashCode(value: HasHashCode, path: string): unknown {
  let code: unknown
  try {
    code = value.hashCode()
  } catch (error) {
    throw new NotHashableError(path, 'an object whose hashCode() throws', error)
  }
  if (code === undefined || code === null) throw new NotHashableError(path, `an object whose hashCode() gives ${code}`)
  return code
}

function nameOf(value: object): string {
  const { constructor } = value as { constructor?: unknown }
  return (typeof constructor === 'function' && constructor.name) || 'a class'
}
