// The reply that a request gets in place of its handler's answer, and sending it by Node's response; an adapter may send it another way.

import { ServerResponse, STATUS_CODES } from 'node:http'
import { viewOf } from '@dspinlock/core/support'
import { isGone } from './gone.js'
import type { BodyForm } from './record.js'
import type { HeaderPairs } from './replayable.js'
import { isHttp1 } from './versions.js'

export interface Reply {
  readonly status: number
  readonly message: string
  /** Headers that were set outside and do not belong to this answer. */
  readonly removed: readonly string[]
  /** The first header of a name replaces what was set outside; further ones of that name are added to it. */
  readonly headers: HeaderPairs
  /** Headers that are added after those that the name has already. */
  readonly appended: HeaderPairs
  /** Undefined: no body, and no Content-Length either. */
  readonly body: Uint8Array | undefined
  readonly form: BodyForm
}

/** Sets the headers of a reply on a response that was not begun. */
export function setHeaders(res: ServerResponse, { removed, headers, appended }: Reply): void {
  for (const name of removed) res.removeHeader(name)
  const set: string[] = []
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    if (set.includes(key)) res.appendHeader(name, value)
    else res.setHeader(name, value)
    set.push(key)
  }
  for (const [name, value] of appended) res.appendHeader(name, value)
}

/** Up to this size, copying a body costs less than writing it by itself. */
const MAX_TEXT_BYTES = 16_384

/** A response that other code has begun is cut, so that its client does not wait for the rest. */
export function sendReply(res: ServerResponse, reply: Reply): void {
  if (res.headersSent || isGone(res.req)) {
    if (!res.writableEnded) res.destroy()
    return
  }
  const { status, message, body } = reply
  const ofHttp1 = isHttp1(res.req)
  const isHead = res.req.method === 'HEAD'
  const isReplaced = Object.hasOwn(res, 'end')
  if (ofHttp1 && message !== STATUS_CODES[status]) res.statusMessage = message
  res.statusCode = status
  if (body === undefined) {
    setHeaders(res, reply)
    res.end()
    return
  }
  // Middleware that looks only at what is written sees it written, and may change its length.
  if (!isReplaced && Object.hasOwn(res, 'write') && !isHead) {
    setHeaders(res, reply)
    res.write(body)
    res.end()
    return
  }
  if (!isReplaced && mayListHeaders(res)) {
    res.writeHead(status, listHeaders(reply, body))
  } else {
    setHeaders(res, reply)
    res.setHeader('Content-Length', body.byteLength)
    // Before `end`: Node garbles a Content-Disposition outside ASCII in a head that `end` writes. Where `end` was replaced, fields may
    // still be set in it.
    if (!isReplaced) res.writeHead(status)
  }
  // A server may refuse bytes where no body is allowed (`rejectNonStandardBodyWrites`).
  if (isHead) {
    res.end()
    return
  }
  const { socket } = res
  // While a response waits for its socket behind others (pipelining), Node would put its head before all that waits, even a 100 (Continue),
  // if it ended with bytes; so the head is sent first. Not the whole response as a string, which would be a copy for each that waits.
  if (socket === null && !isReplaced) res.write('', 'latin1')
  // A string leaves in one write with the head, but an `end` that was replaced, or a made-up socket that is no stream, may ignore its encoding.
  const isText =
    ofHttp1 &&
    (isReplaced
      ? socket === null && res.writableLength > 0
      : body.byteLength <= MAX_TEXT_BYTES && socket?.writableLength !== undefined)
  if (isText) res.end(viewOf(body).toString('latin1'), 'latin1')
  else res.end(body)
}

/**
 * Whether headers may be given to writeHead as a list, which Node does not remember. Setting them one by one takes a third longer, and
 * is needed only if other code has set headers, or replaced or watches something of the response. One `finish` listener is Node's own.
 */
function mayListHeaders(res: ServerResponse): boolean {
  return (
    Object.getPrototypeOf(res) === ServerResponse.prototype &&
    !Object.hasOwn(res, 'writeHead') &&
    res.listenerCount('finish') <= 1 &&
    res.listenerCount('close') === 0 &&
    res.getHeaderNames().length === 0
  )
}

function listHeaders({ headers, appended }: Reply, body: Uint8Array): string[] {
  const list: string[] = []
  for (const [name, value] of [...headers, ...appended]) list.push(name, value)
  list.push('Content-Length', String(body.byteLength))
  return list
}
