// What is bytes, and bytes that are nobody else's: stores keep what they are given, and others read it in the same memory.

/** Of any realm: in a vm context, Node's Buffer is no instance of Uint8Array. Anything wider has another length than it has bytes. */
export function isBytes(given: unknown): given is Uint8Array {
  return (given as Partial<Uint8Array> | null | undefined)?.BYTES_PER_ELEMENT === 1
}

/** A copy in memory of its own, which it shares with no other record. A Buffer, as what comes from Redis is one. */
export function copyBytes(bytes: Uint8Array): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer)
}
