// Replacing methods of a response, so that nothing of it outlives it.

/**
 * Not by an assignment: on Node 20 to 24 its inline cache would keep the function, and all that the function refers to, until the next
 * full collection.
 */
export function replaceMethod<T extends object, K extends keyof T>(object: T, name: K, value: T[K]): void {
  Reflect.set(object, name, value)
}
