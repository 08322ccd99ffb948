// Whether what a parser left of a request's body stands for it.

import type { IncomingMessage } from 'node:http'

export interface ParsedFacts {
  /** What is where parsers put it; undefined: nothing. */
  readonly body: unknown
  /** A parser left files beside it. */
  readonly hasFiles: boolean
  /** The parser itself says that it parsed this body. */
  readonly saysSo: boolean
}

/**
 * Some parsers leave `{}` for bodies that they do not parse, too. If somebody else has read such a body, `{}` stands for
 * nothing: two different requests would look the same.
 */
export function standsForBody(req: IncomingMessage, { body, hasFiles, saysSo }: ParsedFacts): boolean {
  if (body === undefined || !(req.readableDidRead || req.readableEnded)) return false
  if (typeof body !== 'object' || body === null || Object.keys(body).length > 0 || hasFiles) return true
  // `{}` itself is short.
  return saysSo || Array.isArray(body) || Number(req.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= 4
}
