// What Node notes about a head that it wrote, and the head's encoding: that of the string that left with it, or else latin1.

import type { ServerResponse } from 'node:http'

/** Node's private fields of a response. HTTP/2's compatibility layer has none of them, and always writes latin1. */
interface Notes {
  /** The whole head, as it is written. */
  readonly _header?: string | null
  readonly _trailer?: string
  readonly _headerSent?: boolean
  readonly _hasBody?: boolean
  readonly chunkedEncoding?: boolean
}

/** The length that the head declares, or is going to declare; NaN if none, as for a chunked response (RFC 9112, section 6.3). */
export function readDeclaredLength(res: ServerResponse): number {
  const { _header, chunkedEncoding } = res as Notes
  if (chunkedEncoding || res.hasHeader('transfer-encoding')) return Number.NaN
  // A length that was given to writeHead is nowhere but in the written head.
  return Number(res.getHeader('content-length') ?? /\r\ncontent-length: *(\d+)/i.exec(_header ?? '')?.[1])
}

/** The status as it was sent, or, before that, as it is set now. */
export function readStatus(res: ServerResponse): number {
  const { _header } = res as Notes
  return typeof _header === 'string' ? Number(_header.slice(9, 12)) : res.statusCode
}

export function hasTrailers(res: ServerResponse): boolean {
  return Boolean((res as Notes)._trailer)
}

/** Whether the head has left. Before the first write or end, only flushHeaders can have sent it, with an empty string. */
export function hasHeadLeft(res: ServerResponse): boolean {
  return (res as Notes)._headerSent === true
}

/** Whether the head left as UTF-8. To be called after the first write or end, if the head had not left before it. */
export function hasLeftAsUtf8(res: ServerResponse, [chunk, encoding]: readonly unknown[], isEnd: boolean): boolean {
  const { _headerSent, _hasBody, chunkedEncoding } = res as Notes
  if (!_headerSent || !_hasBody || typeof chunk !== 'string') return false
  if (typeof encoding === 'string' && encoding !== 'utf8') return false
  // With `write('')` the head leaves as UTF-8, with `end('')` as latin1. A chunk comes after its size, which is in latin1.
  return chunk === '' ? !isEnd : !chunkedEncoding
}
