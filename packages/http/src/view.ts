// Bytes, whoever made them, with all that a Buffer can do.

/** The same memory: nothing is copied. */
export function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
