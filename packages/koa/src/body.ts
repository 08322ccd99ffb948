// Tells the kinds of body that Koa sends apart: those that are there as a whole, and streams.

import { type Readable, Stream } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import type { BodyForm } from '@dspinlock/http'
import type { Context } from 'koa'
import { isSameAgain } from './round-trip.js'

export interface Rendered {
  readonly bytes: Buffer
  readonly form: BodyForm
}

export type Body =
  /** `render` returns what Koa will send; if nobody is to be given it (`isKept` is false), only whether Koa can send it. */
  | { readonly kind: 'whole'; readonly render: (isKept: boolean) => Rendered | 'sendable' | 'unsendable' }
  | { readonly kind: 'stream'; readonly stream: Readable }
  | { readonly kind: 'web-stream'; readonly stream: ReadableStream }

export function bodyOf(ctx: Context): Body {
  const body: unknown = ctx.body
  const { status } = ctx
  // Koa sends no body with these.
  if (body === null || status === 204 || status === 205 || status === 304) return whole(Buffer.alloc(0), 'bytes')
  if (body === undefined) return whole(Buffer.alloc(0), 'none')
  if (typeof body === 'string') return { kind: 'whole', render: () => ({ bytes: Buffer.from(body), form: 'text' }) }
  if (Buffer.isBuffer(body)) return whole(body, 'bytes')
  if (isStream(body)) return { kind: 'stream', stream: body }
  if (body instanceof ReadableStream) return webStream(body)
  if (body instanceof Blob) return webStream(body.stream())
  if (body instanceof Response) return body.body === null ? whole(Buffer.alloc(0), 'bytes') : webStream(body.body)
  return { kind: 'whole', render: isKept => renderJson(body, isKept) }
}

function whole(bytes: Buffer, form: BodyForm): Body {
  return { kind: 'whole', render: () => ({ bytes, form }) }
}

/** Koa cannot send a stream that somebody else has begun to read. */
function webStream(stream: ReadableStream): Body {
  return stream.locked ? { kind: 'whole', render: () => 'unsendable' } : { kind: 'web-stream', stream }
}

/** Koa 3 takes streams of other realms, too. */
function isStream(body: unknown): body is Readable {
  if (body instanceof Stream) return true
  const { pipe, read, destroy } = body as Record<string, unknown>
  return [pipe, read, destroy].every(method => typeof method === 'function')
}

/** Renders JSON as Koa does. The body counts as bytes if a replay, rendered once more, could come out differently (JSON.rawJSON). */
function renderJson(body: unknown, isKept: boolean): Rendered | 'sendable' | 'unsendable' {
  try {
    // For a function or a symbol, JSON.stringify returns undefined, and Koa fails.
    const text: string | undefined = JSON.stringify(body)
    if (text === undefined) return 'unsendable'
    // Finding out the form takes longer than rendering.
    return isKept ? { bytes: Buffer.from(text), form: isSameAgain(text) ? 'json' : 'bytes' } : 'sendable'
  } catch {
    return 'unsendable'
  }
}
