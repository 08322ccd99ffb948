// Replaces methods of a response in such a way that the replacements do not outlive it.

/**
 * Does not use an assignment: on Node 20 to 24 its inline cache would keep the function, and all that the function refers to, until the
 * next full collection. If other code has made the method read-only, it is redefined.
 * @throws TypeError if it cannot be redefined either.
 */
export function replaceMethod<T extends object, K extends keyof T>(object: T, name: K, value: T[K]): void {
  if (Reflect.set(object, name, value)) return
  Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}
