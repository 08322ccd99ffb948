// What body parsers left of a request's body, told from what they did not touch.

import type { IncomingMessage } from 'node:http'
import { isPlain } from './canonical.js'

/** The fields that parsers set, on the request itself or on the framework's; multer and koa-body set the latter two. */
export interface ParserResult {
  /** Undefined: no parser ran. */
  readonly body?: unknown
  readonly file?: unknown
  readonly files?: unknown
}

/**
 * Whether a parser ran, and what stands for the body then. `saysSo`: the parser itself says that it parsed this body; by
 * default what body-parser 1 (Express 4) notes on the request.
 */
export function readParsedBody(
  req: IncomingMessage,
  result: ParserResult,
  saysSo?: boolean,
): { readonly isParsed: boolean; readonly parsedBody: unknown } {
  const { body, file, files } = result
  const hasFiles = file !== undefined || (typeof files === 'object' && files !== null && Object.keys(files).length > 0)
  const parsedBody = hasFiles ? { body, files: listFiles([file, files]) } : body
  return { isParsed: standsForBody(req, body, hasFiles, saysSo), parsedBody }
}

/**
 * Some parsers leave `{}` for bodies that they do not parse, too. If somebody else has read such a body, `{}` stands for
 * nothing: two different requests would look the same.
 */
function standsForBody(req: IncomingMessage, body: unknown, hasFiles: boolean, saysSo: boolean | undefined): boolean {
  if (body === undefined || !(req.readableDidRead || req.readableEnded)) return false
  if (typeof body !== 'object' || body === null || Object.keys(body).length > 0 || hasFiles) return true
  // `{}` itself is short, and JSON.
  const isShort = Number(req.headers['content-length'] ?? Number.POSITIVE_INFINITY) <= 4
  return (
    (saysSo ?? (req as unknown as { _body?: boolean })._body === true) ||
    Array.isArray(body) ||
    (isShort && /\bjson\b/i.test(req.headers['content-type'] ?? ''))
  )
}

/** A file whose contents are not at hand: comparing the body that it belongs to says so, and the request runs unguarded. */
class FileElsewhere {}

/**
 * Uploaded files as they can be compared: by contents (multer's memory storage) or digest (formidable's `hashAlgorithm`). Their
 * paths on disk are new for each request.
 */
function listFiles(files: unknown): unknown {
  if (Array.isArray(files)) return files.map(listFiles)
  if (typeof files !== 'object' || files === null) return files
  const { fieldname, originalname, originalFilename, mimetype, size, buffer, hash } = files as Record<string, unknown>
  if (Buffer.isBuffer(buffer)) return { fieldname, name: originalname, mimetype, buffer }
  if (typeof hash === 'string') return { name: originalFilename, mimetype, size, hash }
  const isOne = originalname !== undefined || originalFilename !== undefined || size !== undefined
  if (isOne || !isPlain(files)) return new FileElsewhere()
  return Object.fromEntries(Object.entries(files).map(([field, of]) => [field, listFiles(of)]))
}
