// Makes one Buffer of bytes that came in chunks.

/** A single chunk is not copied. */
export function joinChunks(chunks: readonly Buffer[]): Buffer {
  const [only] = chunks
  return chunks.length === 1 && only ? only : Buffer.concat(chunks)
}
