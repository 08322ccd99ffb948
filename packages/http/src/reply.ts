// What a request is answered with in place of its handler, whatever way an adapter has of sending it.

import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { BodyForm } from './record.js'
import type { HeaderPairs } from './replayable.js'

export interface Reply {
  readonly status: number
  readonly message: string
  /** Headers set outside that do not belong to this answer. */
  readonly removed: readonly string[]
  /** The first of a name replaces what was set outside; further ones are its duplicates. */
  readonly headers: HeaderPairs
  /** Come after whatever there is of that name. */
  readonly appended: HeaderPairs
  /** Undefined: none, and no length of it either. */
  readonly body: Uint8Array | undefined
  readonly form: BodyForm
}

/** The headers of a reply, on a response that was not begun. */
export function setHeaders(res: ServerResponse, { removed, headers, appended }: Reply): void {
  for (const name of removed) res.removeHeader(name)
  const set = new Set<string>()
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    if (set.has(key)) res.appendHeader(name, value)
    else res.setHeader(name, value)
    set.add(key)
  }
  for (const [name, value] of appended) res.appendHeader(name, value)
}

/** Does nothing if the response was begun or its client is gone. */
export function sendReply(res: ServerResponse, reply: Reply): void {
  if (res.headersSent || res.writableEnded || res.destroyed) return
  setHeaders(res, reply)
  res.statusCode = reply.status
  if (res.req.httpVersionMajor < 2 && reply.message !== STATUS_CODES[reply.status]) res.statusMessage = reply.message
  if (reply.body === undefined) {
    res.end()
    return
  }
  res.setHeader('Content-Length', reply.body.byteLength)
  // Said before the end: Node garbles a Content-Disposition outside ASCII where the end brings the head about.
  res.writeHead(reply.status)
  if (!isBehindAnother(res)) res.end(reply.body)
  // Node puts a head that goes with bytes in front of all that waits for the connection, also of a 100 (Continue): a string it does not.
  else
    res.end(Buffer.from(reply.body.buffer, reply.body.byteOffset, reply.body.byteLength).toString('latin1'), 'latin1')
}

/** The connection is at an earlier of its pipelined requests. */
function isBehindAnother(res: ServerResponse): boolean {
  return res.req.httpVersionMajor < 2 && res.socket === null
}
