// Finds Node's own request and response: Express hands out these themselves, Fastify wraps them.

import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { readParsedBody } from '@dspinlock/http'
import type { ExecutionContext } from '@nestjs/common'

/** One request on its platform. */
export interface Target {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The platform's request and response. */
  readonly request: object
  readonly response: object
  /** The platform sets the prototypes of `req` and `res`. */
  readonly setsPrototypes: boolean
  readonly url: string
  readonly currentUrl: string
  /** The route's pattern with the application's prefix. */
  route(): string | undefined
  readonly isParsed: boolean
  readonly parsedBody: unknown
  /**
   * Copies headers that the platform keeps for later into `res`: they were set outside of us, and belong to a replay as
   * much as to the original. The returned function removes them again, because a handler may still remove them.
   * Left out: the platform keeps none.
   */
  showHeaders?(): () => void
  /** Tells the platform that the response is written without it. Left out: the platform need not know. */
  takeOver?(): void
}

interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly originalUrl?: string
  readonly routeOptions?: { readonly url?: string | undefined }
  readonly body?: unknown
  /** Set by upload interceptors and fastify-multer; a method where `@fastify/multipart` alone is registered. */
  readonly file?: unknown
  readonly files?: unknown
}

interface FastifyReply {
  readonly raw: ServerResponse
  readonly sent: boolean
  hijack(): void
  getHeaders(): Record<string, OutgoingHttpHeader | undefined>
}

type ExpressRequest = IncomingMessage & {
  readonly route?: { readonly path?: string | RegExp }
  readonly originalUrl?: string
  readonly body?: unknown
  readonly file?: unknown
  readonly files?: unknown
}

/** Nest takes a context for HTTP if a library does not set its type; a context without a request and a response is not HTTP. */
export function isHttp(context: ExecutionContext): boolean {
  if (context.getType<string>() !== 'http') return false
  const request: unknown = context.getArgByIndex(0)
  return isObject(request) && 'method' in request && 'headers' in request && isObject(context.getArgByIndex(1))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** Does not use `switchToHttp()`, which makes new functions at each call. */
export function readTarget(context: ExecutionContext): Target {
  const request = context.getArgByIndex<object>(0)
  const response = context.getArgByIndex<object>(1)
  return isFastify(response)
    ? new FastifyTarget(request as FastifyRequest, response)
    : new ExpressTarget(request as ExpressRequest, response as ServerResponse)
}

/** Node's request, which identifies a request on either platform. */
export function readRaw(context: ExecutionContext): IncomingMessage {
  const request = context.getArgByIndex<object>(0)
  return isFastify(context.getArgByIndex<object>(1)) ? (request as FastifyRequest).raw : (request as IncomingMessage)
}

function isFastify(response: object): response is FastifyReply {
  return 'raw' in response && 'hijack' in response
}

class ExpressTarget implements Target {
  readonly req: ExpressRequest
  readonly res: ServerResponse
  readonly setsPrototypes = true
  readonly url: string
  readonly currentUrl: string
  readonly isParsed: boolean
  readonly parsedBody: unknown

  constructor(req: ExpressRequest, res: ServerResponse) {
    this.req = req
    this.res = res
    this.url = req.originalUrl ?? req.url ?? ''
    this.currentUrl = req.url ?? ''
    const { isParsed, parsedBody } = readParsedBody(req, req)
    this.isParsed = isParsed
    this.parsedBody = parsedBody
  }

  get request(): object {
    return this.req
  }

  get response(): object {
    return this.res
  }

  /** Nest mounts every route on the application itself, so this is the whole pattern. */
  route(): string | undefined {
    return this.req.route?.path?.toString()
  }
}

class FastifyTarget implements Target {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly request: FastifyRequest
  readonly response: FastifyReply
  readonly setsPrototypes = false
  readonly url: string
  readonly currentUrl: string
  readonly isParsed: boolean
  readonly parsedBody: unknown

  constructor(request: FastifyRequest, reply: FastifyReply) {
    const { raw: req } = request
    this.req = req
    this.res = reply.raw
    this.request = request
    this.response = reply
    this.url = request.originalUrl ?? req.url ?? ''
    this.currentUrl = req.url ?? ''
    const { body, file, files } = request
    // Fastify leaves undefined if it did not parse the body, so any other value says that it did.
    const { isParsed, parsedBody } = readParsedBody(req, { body, file: noMethod(file), files: noMethod(files) }, true)
    this.isParsed = isParsed
    this.parsedBody = parsedBody
  }

  route(): string | undefined {
    return this.request.routeOptions?.url
  }

  showHeaders(): () => void {
    const { res } = this
    const before = new Map<string, OutgoingHttpHeader | undefined>()
    for (const [name, value] of Object.entries(this.response.getHeaders())) {
      const shown = res.getHeader(name)
      // Fastify lists those of Node's response, too, in lower case. These stay as they were set.
      if (value === undefined || value === shown || res.headersSent) continue
      before.set(name, shown)
      res.setHeader(name, value)
    }
    return () => {
      if (res.headersSent) return
      for (const [name, value] of before) {
        if (value === undefined) res.removeHeader(name)
        else res.setHeader(name, value)
      }
    }
  }

  takeOver(): void {
    if (!this.response.sent) this.response.hijack()
  }
}

function noMethod(value: unknown): unknown {
  return typeof value === 'function' ? undefined : value
}
