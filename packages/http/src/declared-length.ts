// The write that completes a response of declared length: whoever has its last byte has seen the end, whenever `end` is called.

import { viewOf } from './view.js'

/** Arguments of `write` or `end`. */
type Arguments = readonly unknown[]

export class DeclaredLength {
  readonly #keepsLastByte: boolean
  #written = 0
  #kept: Buffer | undefined

  /** `keepsLastByte`: it is to leave later, when somebody asks for it. */
  constructor(keepsLastByte: boolean) {
    this.#keepsLastByte = keepsLastByte
  }

  /** What is to be written instead of `args`, if `declared` is the length that the head declares, and whether that is all of it. */
  ofWrite(args: Arguments, declared: number | undefined): { readonly args: Arguments; readonly isAll: boolean } {
    if (declared === undefined || !hasBytes(args)) return { args, isAll: false }
    this.#written += sizeOf(args)
    if (this.#written !== declared) return { args, isAll: false }
    return { args: this.#keepsLastByte ? this.#withoutLast(args) : args, isAll: true }
  }

  /** What is to be written or ended with instead of `args`, so that the byte that was kept leaves before them. */
  withKept(args: Arguments): Arguments {
    const kept = this.#kept
    if (kept === undefined || isRefused(args)) return args
    this.#kept = undefined
    return withChunk(args, hasBytes(args) ? Buffer.concat([kept, toBytes(args)]) : kept)
  }

  #withoutLast(args: Arguments): Arguments {
    const [chunk, encoding] = args
    const name = encodingOf(encoding)
    if (typeof chunk === 'string' && (name === 'utf8' || name === 'latin1')) {
      // A string stays one: Node writes the head in the encoding of the string that comes with it.
      const last = Array.from(chunk.slice(-2)).pop() ?? ''
      this.#kept = Buffer.from(last, name)
      return [chunk.slice(0, -last.length), ...args.slice(1)]
    }
    const bytes = toBytes(args)
    this.#kept = Buffer.from(bytes.subarray(-1))
    return withChunk(args, bytes.subarray(0, -1))
  }

  /** The byte that was kept, if it has to leave before `args` are written after all was written. */
  takeBefore(args: Arguments): Buffer | undefined {
    if (!hasBytes(args)) return undefined
    const kept = this.#kept
    this.#kept = undefined
    return kept
  }

  /** Whether a byte is kept that has not left. */
  get isKept(): boolean {
    return this.#kept !== undefined
  }
}

/** Node is going to throw: it has to get what the handler gave. */
function isRefused([chunk, encoding]: Arguments): boolean {
  if (typeof chunk === 'function' || chunk === undefined || chunk === null || chunk === '') return false
  return !(typeof chunk === 'string' || chunk instanceof Uint8Array) || encodingOf(encoding) === undefined
}

/** Something that Node writes, and not nothing. */
function hasBytes([chunk, encoding]: Arguments): boolean {
  // Node minds the encoding of bytes, too.
  if (encodingOf(encoding) === undefined) return false
  return chunk instanceof Uint8Array ? chunk.byteLength > 0 : typeof chunk === 'string' && chunk !== ''
}

function encodingOf(encoding: unknown): BufferEncoding | undefined {
  if (typeof encoding !== 'string') return 'utf8'
  return Buffer.isEncoding(encoding) ? encoding : undefined
}

function sizeOf([chunk, encoding]: Arguments): number {
  return Buffer.byteLength(chunk as string | Uint8Array, encodingOf(encoding))
}

function toBytes([chunk, encoding]: Arguments): Buffer {
  return typeof chunk === 'string' ? Buffer.from(chunk, encodingOf(encoding)) : viewOf(chunk as Uint8Array)
}

function withChunk(args: Arguments, chunk: Buffer): Arguments {
  const callback = args.find(arg => typeof arg === 'function')
  return callback === undefined ? [chunk] : [chunk, callback]
}
