// What body parsers of Express and of frameworks on it left, told from what they did not touch.

import type { IncomingMessage } from 'node:http'

/** The fields that parsers set; multer sets the latter two. */
export interface ParserResult {
  readonly body?: unknown
  readonly file?: unknown
  readonly files?: unknown
}

/** Says whether a parser ran, and what stands for the body then. */
export function readParsedBody(
  req: IncomingMessage,
  left: ParserResult,
): { readonly isParsed: boolean; readonly parsedBody: unknown } {
  const { body, file, files } = left
  const hasFiles = file !== undefined || files !== undefined
  return { isParsed: isParsed(req, body, hasFiles), parsedBody: hasFiles ? { body, file, files } : body }
}

/**
 * A parser ran, and what it left stands for the body. body-parser 1 (Express 4) leaves `{}` for bodies that it does not
 * parse, too: if somebody else has read those, `{}` stands for nothing.
 */
function isParsed(req: IncomingMessage, body: unknown, hasFiles: boolean): boolean {
  if (body === undefined || !(req.readableDidRead || req.readableEnded)) return false
  if (typeof body !== 'object' || body === null || Object.keys(body).length > 0 || hasFiles) return true
  // body-parser 1 says so when it did parse; body-parser 2 leaves undefined when it did not, and `{}` is short.
  const saysSo = (req as unknown as { _body?: boolean })._body === true
  return saysSo || Array.isArray(body) || Number(req.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= 4
}
