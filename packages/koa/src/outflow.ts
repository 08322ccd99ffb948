// A streamed body on its way out: each chunk passes at once, but the end only when the store has the record.

import { pipeline, type Readable, Transform } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import type { Head, Settlement, Watching } from '@dspinlock/http'

export interface OutflowFacts {
  readonly watching: Watching
  readonly settlement: Settlement
  readonly status: number
  readonly head: Head | undefined
  /** Content-Length: with the last of these bytes the client has the whole response, whatever the stream does then. */
  readonly length: number | undefined
}

export class Outflow {
  readonly #facts: OutflowFacts
  #chunks: Buffer[] = []
  #size = 0
  #tooLarge = false
  /** A chunk passed that is neither bytes nor a string, for middleware outside to render. */
  #unreadable = false
  #ended = false
  /** Cancels a web stream that nobody reads any more. Node's streams are destroyed by Koa itself with their response. */
  #cancel: (() => Promise<void>) | undefined

  constructor(facts: OutflowFacts) {
    this.#facts = facts
  }

  /** Returns the stream to send in place of `source`: with the same chunks, back-pressure and errors. */
  through(source: Readable): Readable {
    const objectMode = source.readableObjectMode === true
    const out = new Transform({
      readableObjectMode: objectMode,
      writableObjectMode: true,
      writableHighWaterMark: 1,
      transform: (chunk: unknown, _encoding, done) => {
        const settled = this.#pass(chunk)
        if (settled === undefined) done(null, chunk)
        else void settled.then(() => done(null, chunk))
      },
      flush: done => {
        const settled = this.#finish()
        if (settled === undefined) done()
        else void settled.then(() => done())
      },
    })
    // Middleware outside recognises a file by its path: koa-etag makes the tag from it.
    const { path } = source as { readonly path?: unknown }
    if (path !== undefined) Object.assign(out, { path })
    // The code that sends the stream hears of its errors; before any code does, they must not be uncaught.
    out.on('error', () => {})
    pipeline(source, out, error => {
      if (error) this.cut()
    })
    return out
  }

  throughWeb(source: ReadableStream): ReadableStream {
    const reader = source.getReader()
    this.#cancel = () => reader.cancel()
    return new ReadableStream(
      {
        pull: async controller => {
          try {
            const { done, value } = await reader.read()
            const settled = done ? this.#finish() : this.#pass(value)
            if (settled !== undefined) await settled
            if (done) controller.close()
            else controller.enqueue(value)
          } catch (error) {
            void this.#end(false)
            controller.error(error)
          }
        },
        cancel: reason => {
          void this.#end(false)
          return reader.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
  }

  /** The body will not come to its end, or nobody wants it any more. */
  cut(): void {
    if (this.#ended) return
    void this.#end(false)
    this.#cancel?.().catch(() => {})
  }

  #pass(chunk: unknown): Promise<void> | undefined {
    const { length, settlement } = this.#facts
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (!(bytes instanceof Uint8Array)) this.#unreadable = true
    else {
      this.#size += bytes.byteLength
      if (settlement.keepsBody) this.#keep(bytes)
    }
    return length !== undefined && this.#size === length ? this.#end(true) : undefined
  }

  #finish(): Promise<void> | undefined {
    const { length } = this.#facts
    return this.#end(length === undefined || this.#size === length)
  }

  /** Keeps a copy, because a stream may reuse its buffer. */
  #keep(bytes: Uint8Array): void {
    if (this.#size > this.#facts.settlement.maxRecordBytes) {
      this.#tooLarge = true
      this.#chunks = []
    } else {
      this.#chunks.push(Buffer.from(bytes))
    }
  }

  #end(complete: boolean): Promise<void> | undefined {
    if (this.#ended) return undefined
    this.#ended = true
    const { watching, settlement, status, head } = this.#facts
    const isKept = settlement.keepsBody && !this.#tooLarge && !this.#unreadable
    const body = isKept ? Buffer.concat(this.#chunks) : undefined
    this.#chunks = []
    const tooLarge = this.#tooLarge
    const { hasTrailers } = watching
    return settlement.end({ status, head, body, form: 'bytes', tooLarge, hasTrailers, complete })
  }
}
