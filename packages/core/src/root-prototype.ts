// Whether a prototype is one of plain objects, of which all is known that their own properties say.

/** Object.prototype of any realm (Jest and vm contexts have their own), or an empty prototype, as fast parsers use for their results (Fastify's for queries). */
export function isRootPrototype(prototype: object): boolean {
  if (prototype === Object.prototype) return true
  if (Object.getPrototypeOf(prototype) !== null) return false
  return Object.hasOwn(prototype, 'isPrototypeOf') || Reflect.ownKeys(prototype).length === 0
}
