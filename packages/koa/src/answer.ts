// Sets an answer on the context, as a handler would, so that middleware mounted outside treats it like a handler's answer.

import { Readable } from 'node:stream'
import { viewOf } from '@dspinlock/core/support'
import { isHttp1, type Reply, sendReply, setHeaders } from '@dspinlock/http'
import type { Context } from 'koa'
import { restoreType } from './content-type.js'

/** Does nothing if the response was begun or its client is gone. */
export function setAnswer(ctx: Context, reply: Reply): void {
  if (ctx.headerSent || !ctx.writable) return
  // Middleware outside has taken the response from Koa, so nobody else would send the answer.
  if (ctx.respond === false) return sendReply(ctx.res, reply)
  const { status, message, form } = reply
  setHeaders(ctx.res, reply)
  // The original was not answered: that is Koa's own 404, which becomes a 200 if a body is set outside. Statuses of one's own have no message, either.
  if (form === 'none' && message === '' && status === 404) return
  ctx.status = status
  if (form !== 'none') {
    const type = ctx.res.getHeader('Content-Type')
    ctx.body = makeBody(reply, type !== undefined)
    if (form === 'bytes' && isGarbled(ctx.res.getHeader('Content-Disposition'))) sendAsStream(ctx)
    restoreType(ctx.res, type)
    // Setting null changes the status.
    if (ctx.status !== status) ctx.status = status
  }
  // RFC 9113, section 8.3.2: HTTP/2 has no reason phrase.
  if (isHttp1(ctx.req) && ctx.message !== message) ctx.message = message
}

function makeBody({ body, form }: Reply, hasType: boolean): unknown {
  if (body === undefined || (body.byteLength === 0 && !hasType)) return null
  const bytes = viewOf(body)
  if (form === 'text') return bytes.toString()
  return form === 'json' ? parseValue(bytes) : bytes
}

/** The value that Koa renders as these bytes; or the bytes themselves for a string or null, which Koa does not render as JSON. */
function parseValue(bytes: Buffer): unknown {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    return typeof value === 'string' || value === null ? bytes : value
  } catch {
    // What comes from a store is data, never trusted.
    return bytes
  }
}

/** Whether Node would garble a Content-Disposition outside ASCII, as it does if `end` writes head and length, which happens with Koa's Buffers. */
function isGarbled(disposition: number | string | string[] | undefined): boolean {
  return typeof disposition === 'string' && /[^ -~]/.test(disposition)
}

function sendAsStream(ctx: Context): void {
  const bytes = ctx.body as Buffer | null
  if (bytes === null) return
  ctx.body = Readable.from([bytes])
  ctx.length = bytes.byteLength
}
