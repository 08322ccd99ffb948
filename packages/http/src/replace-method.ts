// Replacing methods of a response, so that nothing of it outlives it.

/**
 * Not by an assignment: on Node 20 to 24 its inline cache would keep the function, and all that the function refers to, until the next
 * full collection. Somebody else may have made the method read-only.
 * @throws TypeError if it cannot be redefined either.
 */
export function replaceMethod<T extends object, K extends keyof T>(object: T, name: K, value: T[K]): void {
  if (Reflect.set(object, name, value)) return
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}
