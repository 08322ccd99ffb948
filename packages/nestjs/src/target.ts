// The platform's request and response as Node's own: Express hands out these themselves, Fastify wraps them.

import type { IncomingMessage, OutgoingHttpHeader, ServerResponse } from 'node:http'
import { readParsedBody } from '@dspinlock/http'
import type { ExecutionContext } from '@nestjs/common'

/** One request on its platform. */
export interface Target {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** The platform's. */
  readonly request: object
  readonly response: object
  /** Of `req` and `res`. */
  readonly setsPrototypes: boolean
  readonly url: string
  readonly currentUrl: string
  /** The route's pattern with the application's prefix. */
  readonly route: () => string | undefined
  readonly isParsed: boolean
  readonly parsedBody: unknown
  /**
   * Makes headers that the platform keeps for later visible in `res`: they were set outside of us, and belong to a
   * replay as much as to the original. The returned function takes them back, for a handler may still remove them.
   */
  showHeaders(): () => void
  /** Tells the platform that the response is written without it. */
  takeOver(): void
}

interface FastifyRequest {
  readonly raw: IncomingMessage
  readonly originalUrl?: string
  readonly routeOptions?: { readonly url?: string | undefined }
  readonly body?: unknown
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

export function readTarget(context: ExecutionContext): Target {
  const http = context.switchToHttp()
  const request = http.getRequest<object>()
  const response = http.getResponse<object>()
  return isFastify(response)
    ? ofFastify(request as FastifyRequest, response)
    : ofExpress(request as ExpressRequest, response as ServerResponse)
}

/** Node's request, by which a request is known on either platform. */
export function readRaw(context: ExecutionContext): IncomingMessage {
  const http = context.switchToHttp()
  const request = http.getRequest<object>()
  return isFastify(http.getResponse<object>()) ? (request as FastifyRequest).raw : (request as IncomingMessage)
}

function isFastify(response: object): response is FastifyReply {
  return 'raw' in response && 'hijack' in response
}

function ofExpress(req: ExpressRequest, res: ServerResponse): Target {
  return {
    req,
    res,
    request: req,
    response: res,
    setsPrototypes: true,
    url: req.originalUrl ?? req.url ?? '',
    currentUrl: req.url ?? '',
    // Nest mounts every route on the application itself, so that this is all of it.
    route: () => req.route?.path?.toString(),
    ...readParsedBody(req, req),
    showHeaders: () => () => {},
    takeOver: () => {},
  }
}

function ofFastify(request: FastifyRequest, reply: FastifyReply): Target {
  const { raw: req } = request
  const { raw: res } = reply
  return {
    req,
    res,
    request,
    response: reply,
    setsPrototypes: false,
    url: request.originalUrl ?? req.url ?? '',
    currentUrl: req.url ?? '',
    route: () => request.routeOptions?.url,
    // Fastify leaves undefined for what it did not parse.
    isParsed: request.body !== undefined && (req.readableDidRead || req.readableEnded),
    parsedBody: request.body,
    showHeaders: () => {
      const before = new Map<string, OutgoingHttpHeader | undefined>()
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value === undefined || res.headersSent) continue
        before.set(name, res.getHeader(name))
        res.setHeader(name, value)
      }
      return () => {
        if (res.headersSent) return
        for (const [name, value] of before) {
          if (value === undefined) res.removeHeader(name)
          else res.setHeader(name, value)
        }
      }
    },
    takeOver: () => {
      if (!reply.sent) reply.hijack()
    },
  }
}
