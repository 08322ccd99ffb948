// Writes results as text and reads them back, with the types that JSON alone would lose.

import { types } from 'node:util'
import { kindOf } from './kinds.js'
import { pathTo } from './path.js'

const MAX_DEPTH = 500

/** The key that marks values for which JSON has no form; a user's object that has this very key is written as `object`. */
const TAG = '$'

type Tagged = { readonly [TAG]: string; readonly v?: unknown }

/**
 * Writes JSON, extended by undefined, NaN, ±Infinity, -0, bigint, Date, URL, Map, Set, Buffer and Uint8Array, in any nesting.
 * An object with `toJSON` is written as what that returns.
 * @throws TypeError naming the path for anything else: functions, symbols, cycles, instances of other classes.
 */
export function writeTyped(value: unknown): string {
  return JSON.stringify(toTree(value, 'record', new Set()))
}

/** @throws SyntaxError or TypeError for anything that `writeTyped` does not write. */
export function readTyped(text: string): unknown {
  return fromTree(JSON.parse(text))
}

function tagged(type: string, v?: unknown): Tagged {
  return v === undefined ? { [TAG]: type } : { [TAG]: type, v }
}

function toTree(value: unknown, path: string, ancestors: Set<object>): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
        ? value
        : tagged('number', Object.is(value, -0) ? '-0' : String(value))
    case 'bigint':
      return tagged('bigint', String(value))
    case 'undefined':
      return tagged('undefined')
    case 'object':
      return value === null ? null : objectToTree(value, path, ancestors)
    default:
      throw new TypeError(`${path} is a ${typeof value}`)
  }
}

function objectToTree(value: object, path: string, ancestors: Set<object>): unknown {
  if (ancestors.has(value)) throw new TypeError(`${path} is a cycle`)
  if (ancestors.size >= MAX_DEPTH) throw new TypeError(`${path} is more than ${MAX_DEPTH} levels deep`)
  ancestors.add(value)
  const tree = (item: unknown, at: string | number): unknown => toTree(item, pathTo(path, at), ancestors)
  try {
    const kind = kindOf(value)
    if (kind === 'Array') return Array.from(value as readonly unknown[], tree)
    if (kind === 'Date') return tagged('Date', String((value as Date).getTime()))
    if (kind === 'URL') return tagged('URL', (value as URL).href)
    if (kind === 'Buffer') return tagged('Buffer', (value as Buffer).toString('base64'))
    if (kind === 'TypedArray' && types.isUint8Array(value))
      return tagged('Uint8Array', Buffer.from(value).toString('base64'))
    if (kind === 'Set') return tagged('Set', Array.from(value as Set<unknown>, tree))
    if (kind === 'Map') {
      return tagged(
        'Map',
        Array.from(value as Map<unknown, unknown>, ([key, item], at) => [tree(key, at), tree(item, at)]),
      )
    }
    const { toJSON } = value as { toJSON?: unknown }
    if (typeof toJSON === 'function') return toTree(toJSON.call(value), `${path}.toJSON()`, ancestors)
    if (kind !== 'Object') {
      const { constructor } = value as { constructor?: unknown }
      throw new TypeError(
        `${path} is an instance of ${(typeof constructor === 'function' && constructor.name) || 'a class'}`,
      )
    }
    const entries = Object.entries(value).map(([key, item]) => [key, tree(item, key)] as const)
    return Object.hasOwn(value, TAG) ? tagged('object', entries) : Object.fromEntries(entries)
  } finally {
    ancestors.delete(value)
  }
}

function fromTree(tree: unknown): unknown {
  if (typeof tree !== 'object' || tree === null) return tree
  if (Array.isArray(tree)) return tree.map(fromTree)
  if (Object.hasOwn(tree, TAG)) return fromTagged(tree as Tagged)
  return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, fromTree(item)]))
}

function fromTagged({ [TAG]: type, v }: Tagged): unknown {
  switch (type) {
    case 'undefined':
      return undefined
    case 'number':
      return Number(textOf(v))
    case 'bigint':
      return BigInt(textOf(v))
    case 'Date':
      return new Date(Number(textOf(v)))
    case 'URL':
      return new URL(textOf(v))
    case 'Buffer':
      return Buffer.from(textOf(v), 'base64')
    case 'Uint8Array':
      return new Uint8Array(Buffer.from(textOf(v), 'base64'))
    case 'Set':
      return new Set(listOf(v).map(fromTree))
    case 'Map':
      return new Map(listOf(v).map(pair => [fromTree(listOf(pair)[0]), fromTree(listOf(pair)[1])]))
    case 'object':
      return Object.fromEntries(listOf(v).map(pair => [textOf(listOf(pair)[0]), fromTree(listOf(pair)[1])]))
    default:
      throw new TypeError(`unknown type ${JSON.stringify(type)}`)
  }
}

function textOf(v: unknown): string {
  if (typeof v !== 'string') throw new TypeError('a text was expected')
  return v
}

function listOf(v: unknown): readonly unknown[] {
  if (!Array.isArray(v)) throw new TypeError('a list was expected')
  return v
}
