// In which encoding Node writes a head: the one of the string that it leaves with, or else latin1.

import type { ServerResponse } from 'node:http'

/** Node's own notes; HTTP/2's compatibility layer has none of them, and always writes latin1. */
interface Notes {
  readonly _headerSent?: boolean
  readonly _hasBody?: boolean
  readonly chunkedEncoding?: boolean
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
  // Nothing is written as it is, and ends by an empty string in latin1. A chunk's size is written before it, in latin1 too.
  return chunk === '' ? !isEnd : chunkedEncoding !== true
}
