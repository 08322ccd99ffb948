// The write that completes a response of declared length: a client that has the last byte has seen the end, whenever `end` is called.

import { viewOf } from '@dspinlock/core/support'

/** The arguments of a call of `write` or `end`. */
export type Arguments = readonly unknown[]

/** How many bytes Node writes for these arguments; 0 also if Node refuses them. */
export function sizeOf([chunk, encoding]: Arguments): number {
  // Node refuses an unknown encoding even if the chunk is bytes.
  const name = encodingOf(encoding)
  return name && (typeof chunk === 'string' || chunk instanceof Uint8Array) ? Buffer.byteLength(chunk, name) : 0
}

/** Arguments to write now in place of these, and the last byte or character, which is to leave later. */
export function withoutLast(args: Arguments): [first: Arguments, last: Buffer] {
  const [chunk, encoding] = args
  if (typeof chunk === 'string' && encodingOf(encoding) === 'utf8') {
    // It stays a string, because with one in UTF-8 Node writes the head in UTF-8, too, and with all else in latin1.
    const last = Array.from(chunk.slice(-2)).pop() as string
    return [[chunk.slice(0, -last.length), ...args.slice(1)], Buffer.from(last)]
  }
  const bytes = toBytes(args)
  return [withChunk(args, bytes.subarray(0, -1)), Buffer.from(bytes.subarray(-1))]
}

/** Arguments for `write` or `end` in place of these, so that the byte that was kept leaves before them. */
export function withKept(args: Arguments, kept: Buffer): Arguments {
  if (sizeOf(args) > 0) return withChunk(args, Buffer.concat([kept, toBytes(args)]))
  return isRefused(args) ? args : withChunk(args, kept)
}

/** Whether Node is going to throw: then it has to get exactly what the handler gave. */
function isRefused([chunk, encoding]: Arguments): boolean {
  if (typeof chunk === 'function' || chunk === undefined || chunk === null || chunk === '') return false
  return !(typeof chunk === 'string' || chunk instanceof Uint8Array) || encodingOf(encoding) === undefined
}

function encodingOf(encoding: unknown): BufferEncoding | undefined {
  if (typeof encoding !== 'string') return 'utf8'
  return Buffer.isEncoding(encoding) ? encoding : undefined
}

/** The bytes that Node writes for these arguments. */
export function toBytes([chunk, encoding]: Arguments): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encodingOf(encoding)) : viewOf(chunk as Uint8Array)
}

function withChunk(args: Arguments, chunk: Buffer): Arguments {
  const callback = args.find(arg => typeof arg === 'function')
  return callback === undefined ? [chunk] : [chunk, callback]
}
