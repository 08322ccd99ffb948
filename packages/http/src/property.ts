// Reading and replacing what requests and responses have, past V8's inline caches, which cost more than they save on objects like these.

/**
 * `object[name]`, looked up once. Until Node 24 each request and response whose prototype was set, as Express does, gets a hidden class of its own
 * with the next property: every inline cache that it comes by fails, and takes about four times as long to find out as this takes.
 */
export function peek<T extends object, K extends keyof T>(object: T, name: K): T[K] {
  return Reflect.get(object, name) as T[K]
}

/** A function that is assigned by an inline cache stays, with all that it knows, until the next full collection, on Node 20 to 24. */
export function put<T extends object, K extends keyof T>(object: T, name: K, value: T[K]): void {
  Reflect.set(object, name, value)
}
