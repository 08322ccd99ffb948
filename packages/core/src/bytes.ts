// Recognises, views and copies bytes: stores keep the bytes that they are given, and others read them in the same memory.

/** Accepts bytes of any realm (in a vm context, Node's Buffer is no Uint8Array), but no wider elements, whose length is not their number of bytes. */
export function isBytes(given: unknown): given is Uint8Array {
  return (given as Partial<Uint8Array> | null | undefined)?.BYTES_PER_ELEMENT === 1
}

/** A Buffer over the same memory, for bytes that are to have its methods: nothing is copied. A Buffer is returned as it is. */
export function viewOf(bytes: ArrayBufferView): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Copies bytes into memory that no other record shares. A Buffer, because records that come from Redis are Buffers, too. */
export function copyBytes(bytes: Uint8Array): Buffer {
  return Buffer.from(new Uint8Array(bytes).buffer)
}
