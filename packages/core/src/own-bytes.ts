// Bytes that are nobody else's: stores keep what they are given, and others read it in the same memory.

/** A copy in memory of its own, which it shares with no other record. A Buffer, as what comes from Redis is one. */
export function copyBytes(bytes: Uint8Array): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer)
}
