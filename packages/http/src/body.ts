// Reading a request's body without anybody noticing: every byte is put back before the stream has ended (docs/decisions/082).

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { MaybePromise } from '@dspinlock/core'
import { joinChunks } from './chunks.js'
import type { Exchange } from './exchange.js'
import { isGone } from './gone.js'
import { wasRead } from './parsed-body.js'
import { shareShape } from './shared-shape.js'

export type BodyRead =
  | { readonly kind: 'none' }
  | { readonly kind: 'complete'; readonly bytes: Buffer }
  /** The body is larger than allowed; the part that was read was put back. */
  | { readonly kind: 'too-large' }
  /** The client left before the body was complete. */
  | { readonly kind: 'gone' }
  /** Other code read the body before us. */
  | { readonly kind: 'unreadable' }

export const noBody = { kind: 'none' } as const

interface Facts {
  /** Only Node's HTTP/2 requests have this, HTTP/1 ones do not. */
  readonly stream?: { readonly endAfterHeaders: boolean; readonly readableEnded: boolean }
  readonly _readableState: { readonly ended: boolean; dataEmitted: boolean }
}

/** RFC 9112, section 6.3: without either field a request has no body. On HTTP/2 the stream says so (RFC 9113, section 8.1). */
function hasBody(req: IncomingMessage): boolean {
  const { stream } = req as unknown as Facts
  if (stream !== undefined) return !stream.endAfterHeaders
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) !== 0
}

/**
 * Whether all of the body has arrived. `req.complete` does not tell: for HTTP/2, Node sets it only once the end was read, and tools that make up requests for
 * an app without a server set it before they hand over any of the body, or never.
 */
function isComplete(req: IncomingMessage): boolean {
  const { stream, _readableState } = req as unknown as Facts
  return stream === undefined ? _readableState.ended : stream.readableEnded
}

/** Whether the client left before all of the body had arrived: no handler gets the rest, and what it answers tells of that. */
export function isCutShort(req: IncomingMessage): boolean {
  return isGone(req) && hasBody(req) && !isComplete(req)
}

type BodyOwner = Pick<Exchange, 'req' | 'res' | 'setsPrototypes'>

/** Reads at most `maxBytes`. Afterwards the stream is paused or untouched, has not ended, and holds every byte. */
export function readBody(exchange: BodyOwner, maxBytes: number): MaybePromise<BodyRead> {
  const { req, res } = exchange
  if (!hasBody(req)) return noBody
  if (isGone(req)) return { kind: 'gone' }
  if (wasRead(req) || req.readableFlowing === true) return { kind: 'unreadable' }
  if (Number(req.headers['content-length']) > maxBytes) return { kind: 'too-large' }
  inviteBody(req, res)
  // Before reading, because no other step before the request's turn uses the request object as much.
  shareShape(exchange, req, 'res')
  return new Promise(resolve => new BodyReader(exchange, maxBytes, resolve).start())
}

/** What Node notes of informational responses: on HTTP/1, and on HTTP/2. */
interface SentFacts {
  readonly _sent100?: boolean
  readonly stream?: { readonly sentInfoHeaders?: readonly { readonly ':status'?: number }[] }
}

/** With a listener for `checkContinue`, the client waits for our 100 (RFC 9110, section 10.1.1) before it sends the body. */
function inviteBody(req: IncomingMessage, res: ServerResponse): void {
  if (!/\b100-continue\b/i.test(req.headers.expect ?? '')) return
  const { server } = req.socket as unknown as { server?: { listenerCount?(event: string): number } }
  const { _sent100, stream } = res as unknown as SentFacts
  const sent = _sent100 || stream?.sentInfoHeaders?.some(({ ':status': status }) => status === 100)
  if (!sent && server?.listenerCount?.('checkContinue')) res.writeContinue()
}

class BodyReader {
  readonly #req: IncomingMessage
  readonly #res: ServerResponse
  readonly #maxBytes: number
  readonly #resolve: (read: BodyRead) => void
  /** Strings if other code set an encoding on the request before us. */
  readonly #chunks: (Buffer | string)[] = []
  #size = 0

  constructor({ req, res }: BodyOwner, maxBytes: number, resolve: (read: BodyRead) => void) {
    this.#req = req
    this.#res = res
    this.#maxBytes = maxBytes
    this.#resolve = resolve
  }

  start(): void {
    const req = this.#req
    // Otherwise listening would call `read(0)` in a tick: if the body is empty and has ended by then, 'end' would be emitted before the handler can listen.
    // Once the body has ended, `read(0)` itself would emit 'end', so then it is not called.
    if (!isComplete(req)) req.read(0)
    // If the whole body is here already, no listener is needed, and an empty body is not touched at all.
    if (this.#take()) return
    req.on('readable', this.#onReadable)
    req.on('close', this.#onClose)
    req.on('error', this.#onClose)
  }

  readonly #onReadable = (): void => {
    this.#take()
  }

  readonly #onClose = (): void => {
    this.#finish({ kind: 'gone' })
  }

  /** Takes the bytes that have arrived; returns true once the result is known. */
  #take(): boolean {
    const req = this.#req
    // `read` on an ended and empty stream would emit 'end', so it is called only while the stream has bytes.
    while (req.readableLength > 0) {
      const chunk = req.read() as Buffer | string | null
      if (chunk === null) break
      this.#chunks.push(chunk)
      this.#size += Buffer.byteLength(chunk)
      if (this.#size > this.#maxBytes) {
        this.#putBack()
        this.#finish({ kind: 'too-large' })
        this.#leaveNoRest()
        return true
      }
    }
    return isComplete(req) && this.#finish({ kind: 'complete', bytes: this.#putBack() })
  }

  /** Has to run in the same turn as the reading: a tick after the last byte was taken, 'end' is emitted, unless the stream has bytes again. */
  #putBack(): Buffer {
    // This is what `readableDidRead` tells: `fetch`, for example, takes no body that was read before.
    ;(this.#req as unknown as Facts)._readableState.dataEmitted = false
    const encoding = this.#req.readableEncoding
    if (encoding !== null) {
      const text = this.#chunks.join('')
      if (text !== '') this.#req.unshift(text, encoding)
      return Buffer.from(text, encoding)
    }
    const bytes = joinChunks(this.#chunks as Buffer[])
    if (bytes.length > 0) this.#req.unshift(bytes)
    return bytes
  }

  /**
   * Pulls what nobody has read off the wire when the response is over, because the connection's next request comes after it. Node does so
   * itself, but not with a body of which a part was read.
   */
  #leaveNoRest(): void {
    const req = this.#req
    // On HTTP/2, the response itself waits for the client to end its body.
    const { stream = this.#res } = this.#res as { readonly stream?: ServerResponse }
    const pull = (): unknown => req.readableFlowing ?? req.resume()
    // Other code may have answered while the body arrived.
    if (stream.writableFinished) process.nextTick(pull)
    else stream.on('finish', pull)
  }

  #finish(read: BodyRead): true {
    const req = this.#req
    req.removeListener('readable', this.#onReadable)
    req.removeListener('close', this.#onClose)
    req.removeListener('error', this.#onClose)
    this.#resolve(read)
    return true
  }
}
