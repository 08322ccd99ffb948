// Gives all requests one hidden class, and all responses one, in frameworks that set their prototypes.

import type { Exchange } from './exchange.js'
import { nodeMajor } from './versions.js'

/**
 * Before Node 24 (V8 13), an object whose prototype was set gets a new hidden class of its own with each property that is added. The class
 * takes time and 1 KB of old space, and every inline cache that meets the object misses, in the framework, in Node and in handlers.
 */
const isOfUse = nodeMajor < 24

/**
 * Makes V8 keep the object's properties in a dictionary: all dictionaries share one hidden class, which adding properties does not
 * change. V8 does so when an object with a class of its own changes whether a property is enumerable, so `link`, by which a framework
 * connects request and response, is changed and changed back. Only done if the framework sets prototypes: other objects have a class
 * in common already, and would lose it. A dictionary takes 1 to 2 KB more.
 */
export function shareShape(framework: Pick<Exchange, 'setsPrototypes'>, object: object, link: string): void {
  if (!isOfUse || framework.setsPrototypes !== true || !Object.hasOwn(object, link)) return
  for (const enumerable of [false, true]) Reflect.defineProperty(object, link, { enumerable })
}
