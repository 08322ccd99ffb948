// Tells which kind of value an object is: one of those that can be read completely, and no instance of a derived class.

import { types } from 'node:util'
import { isRootPrototype } from '../root-prototype.js'

export type Kind =
  | 'Object'
  | 'Array'
  | 'Map'
  | 'Set'
  | 'Date'
  | 'URL'
  | 'Buffer'
  | 'TypedArray'
  | 'DataView'
  | 'ArrayBuffer'

const builtIns: readonly (readonly [Kind, (value: object) => boolean])[] = [
  ['Map', types.isMap],
  ['Set', types.isSet],
  ['Date', types.isDate],
  ['DataView', types.isDataView],
  ['ArrayBuffer', value => types.isArrayBuffer(value)],
]

/**
 * The kind of an object of any realm: test runners (Jest) and vm contexts have an Array and an Object of their own. Undefined for instances
 * of all other classes, and for objects that only look like one, such as a Proxy of a Map.
 */
export function kindOf(value: object): Kind | undefined {
  const prototype: object | null = Object.getPrototypeOf(value)
  // Array.prototype is an array, but the prototype of a derived class is not.
  if (Array.isArray(value)) return Array.isArray(prototype) ? 'Array' : undefined
  if (prototype === null || isRootPrototype(prototype)) return 'Object'
  if (prototype === URL.prototype) return isUrl(value) ? 'URL' : undefined
  if (prototype === Buffer.prototype) return types.isUint8Array(value) ? 'Buffer' : undefined
  const above: object | null = Object.getPrototypeOf(prototype)
  if (above === null) return undefined
  if (isRootPrototype(above)) return builtIns.find(([, is]) => is(value))?.[0]
  return types.isTypedArray(value) && isRootPrototype(Object.getPrototypeOf(above)) ? 'TypedArray' : undefined
}

/** Only a URL itself gives its parts. */
function isUrl(value: object): boolean {
  try {
    return typeof (value as URL).href === 'string'
  } catch {
    return false
  }
}
