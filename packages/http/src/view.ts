// Gives bytes of any kind the methods of a Buffer.

/** A Buffer over the same memory: nothing is copied. */
export function viewOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
