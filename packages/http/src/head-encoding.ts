// What Node notes of a head that it wrote, and in which encoding it wrote it: that of the string that left with it, or else latin1.

import type { ServerResponse } from 'node:http'

/** Node's own notes; HTTP/2's compatibility layer has none of them, and always writes latin1. */
interface Notes {
  /** All of it, as it is written. */
  readonly _header?: string | null
  readonly _trailer?: string
  readonly _headerSent?: boolean
  readonly _hasBody?: boolean
  readonly chunkedEncoding?: boolean
}

/** The length that the head declares, or is going to declare. Of chunks it says nothing (RFC 9112, section 6.3). */
export function readDeclaredLength(res: ServerResponse): number | undefined {
  const { _header, chunkedEncoding } = res as Notes
  if (chunkedEncoding === true || res.hasHeader('transfer-encoding')) return undefined
  // What is given with the head itself is nowhere else.
  const declared = res.getHeader('content-length') ?? /\r\ncontent-length: *(\d+)/i.exec(_header ?? '')?.[1]
  return declared === undefined ? undefined : Number(declared)
}

/** As it was sent, or else as it is by now. */
export function readStatus(res: ServerResponse): number {
  const { _header } = res as Notes
  return typeof _header === 'string' ? Number(_header.slice(9, 12)) : res.statusCode
}

export function hasTrailers(res: ServerResponse): boolean {
  return ((res as Notes)._trailer ?? '') !== ''
}

/** Before the first write or end: the head has left already, by flushHeaders, which writes an empty string. */
export function hasHeadLeft(res: ServerResponse): boolean {
  return (res as Notes)._headerSent === true
}

/** After the first write or end, if the head had not left before it. */
export function hasLeftAsUtf8(res: ServerResponse, [chunk, encoding]: readonly unknown[], isEnd: boolean): boolean {
  const { _headerSent, _hasBody, chunkedEncoding } = res as Notes
  if (_headerSent !== true || _hasBody !== true || typeof chunk !== 'string') return false
  if (typeof encoding === 'string' && encoding !== 'utf8') return false
  // `write('')` is written as UTF-8, `end('')` as latin1. Before a chunk goes its size, in latin1.
  return chunk === '' ? !isEnd : chunkedEncoding !== true
}
