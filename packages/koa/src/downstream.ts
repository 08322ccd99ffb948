// Follows what runs inside, from the call of `next` until the hold has ended with the result.

import { STATUS_CODES } from 'node:http'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import {
  type Baseline,
  type Ending,
  type Head,
  type Settlement,
  takeBaseline,
  takeHead,
  type Watching,
  watchResponse,
  whenOver,
} from '@dspinlock/http'
import type { Context, Next } from 'koa'
import { type Body, bodyOf, type Rendered } from './body.js'
import { restoreType } from './content-type.js'
import { Outflow } from './outflow.js'

export class Downstream implements Ending {
  readonly #ctx: Context
  readonly #settlement: Settlement
  /** The headers that were set before; undefined if headers are of no use. */
  readonly #baseline: Baseline | undefined
  readonly #watching: Watching
  /** Another mount guards the request. */
  #stopped = false

  /** To be called before anything inside runs. */
  constructor(ctx: Context, settlement: Settlement) {
    this.#ctx = ctx
    this.#settlement = settlement
    this.#baseline = settlement.keepsBody ? takeBaseline(ctx.res) : undefined
    // A response that a handler sends past Koa also goes past what is mounted outside, so it becomes no record, but the hold ends with it.
    this.#watching = watchResponse(ctx.req, ctx.res, settlement, false)
  }

  /** Rejects with what `next` rejects with. */
  async through(next: Next): Promise<void> {
    try {
      await next()
    } catch (error) {
      this.#watching.stop()
      const ended = this.#settlement.fail(statusOf(error))
      if (ended !== undefined) await ended
      throw error
    }
    if (this.#stopped || isSentByHand(this.#ctx)) return
    const body = bodyOf(this.#ctx)
    const { keepsBody, leavesRecord } = this.#settlement
    const rendered = body.kind === 'whole' && leavesRecord ? body.render(keepsBody) : 'sendable'
    if (rendered === 'unsendable') return this.#waitForEnd()
    this.#watching.stop()
    const settled = settle(this.#ctx, this.#settlement, this.#watching, this.#baseline, body, rendered)
    if (settled !== undefined) await settled
  }

  /** Koa is about to fail, unless something outside can send the body; the end of the response shows which. */
  #waitForEnd(): void {
    const { res } = this.#ctx
    // A response whose client has left may never end.
    if (res.destroyed) this.#watching.cut()
    else whenOver(res, () => this.#watching.cut())
  }

  release(): void {
    this.#stopped = true
    this.#watching.release()
  }

  cut(): void {
    this.#stopped = true
    this.#watching.cut()
  }
}

/** The status that Koa gives to an error that nobody catches. */
function statusOf(error: unknown): number {
  const { status, statusCode } = (error ?? {}) as { status?: unknown; statusCode?: unknown }
  const found = status ?? statusCode
  return typeof found === 'number' && found >= 400 ? found : 500
}

function isSentByHand(ctx: Context): boolean {
  return ctx.respond === false || ctx.headerSent || ctx.res.writableEnded
}

/** Ends the hold with a body that is there, or arranges for it to end with a stream. */
function settle(
  ctx: Context,
  settlement: Settlement,
  watching: Watching,
  baseline: Baseline | undefined,
  body: Body,
  rendered: Rendered | 'sendable',
): Promise<void> | undefined {
  const { status } = ctx
  const head = baseline === undefined ? undefined : headOf(ctx, baseline)
  if (body.kind === 'whole') {
    const kept = rendered === 'sendable' ? undefined : rendered
    const tooLarge = kept !== undefined && kept.bytes.byteLength > settlement.maxRecordBytes
    return settlement.end({
      status,
      head,
      body: tooLarge ? undefined : kept?.bytes,
      form: kept?.form ?? 'bytes',
      tooLarge,
      hasTrailers: watching.hasTrailers,
      complete: true,
    })
  }
  const contentLength = ctx.res.getHeader('Content-Length')
  const length = contentLength === undefined ? undefined : Number(contentLength)
  const outflow = new Outflow({ watching, settlement, status, head, length })
  // Koa destroys a stream with its response. For a stream that was replaced outside or never read, the hold ends then as well.
  whenOver(ctx.res, () => outflow.cut())
  if (ctx.res.destroyed) outflow.cut()
  if (body.kind === 'stream') replaceBody(ctx, outflow.through(body.stream))
  else replaceBody(ctx, outflow.throughWeb(body.stream))
  return undefined
}

/** The head of the response; without a message if the request was not answered, see `setAnswer`. */
function headOf(ctx: Context, baseline: Baseline): Head {
  const head = takeHead(ctx.res, [], baseline)
  const { _explicitStatus: isSet } = ctx.response as { readonly _explicitStatus?: boolean }
  const isUnanswered = ctx.body === undefined && ctx.status === 404 && isSet !== true
  return isUnanswered && head.message === STATUS_CODES[404] ? { ...head, message: '' } : head
}

/**
 * Replaces the body and keeps the headers, which Koa adapts to every new body. It would remove the length: if that is set again, it comes
 * after the other headers, and if it was never set, Node sends an empty body in chunks.
 */
function replaceBody(ctx: Context, body: Readable | ReadableStream): void {
  const { res, response } = ctx
  const type = res.getHeader('Content-Type')
  const listeners = body instanceof Readable ? body.listeners('error') : []
  response.remove = () => {}
  ctx.body = body
  Reflect.deleteProperty(response, 'remove')
  restoreType(res, type)
  if (!(body instanceof Readable)) return
  // Koa 2 listens for errors of every body that it is given. It hears of this body's errors from the one inside it already.
  const added = body.listeners('error').filter(listener => !listeners.includes(listener))
  for (const listener of added) body.removeListener('error', listener as (error: Error) => void)
}
