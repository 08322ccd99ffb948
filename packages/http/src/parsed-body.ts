// Reads what body parsers made of a request's body, and tells whether they parsed it at all.

import type { IncomingMessage } from 'node:http'
import { isPlain } from './canonical.js'

/** The fields that parsers set on Node's request or the framework's; `file` and `files` are set by multer and koa-body. */
export interface ParserResult {
  /** Undefined if no parser ran. */
  readonly body?: unknown
  readonly file?: unknown
  readonly files?: unknown
}

/** Whether other code has read from the body. */
export function wasRead(req: IncomingMessage): boolean {
  return req.readableDidRead || req.readableEnded
}

/**
 * Whether a parser ran, and the value that then stands for the body. `saysSo`: whether the parser itself says that it parsed this
 * body; the default is what body-parser 1 (Express 4) notes on the request.
 */
export function readParsedBody(
  req: IncomingMessage,
  result: ParserResult,
  saysSo?: boolean,
): { readonly isParsed: boolean; readonly parsedBody: unknown } {
  const { body, file, files } = result
  const hasFiles = file !== undefined || Object.keys(files ?? {}).length > 0
  const parsedBody = hasFiles ? { body, files: listFiles([file, files]) } : body
  return { isParsed: standsForBody(req, body, hasFiles, saysSo), parsedBody }
}

/**
 * Some parsers leave `{}` even for bodies that they do not parse. If other code has read such a body, `{}` must not stand for it,
 * because two different requests would look the same.
 */
function standsForBody(req: IncomingMessage, body: unknown, hasFiles: boolean, saysSo: boolean | undefined): boolean {
  if (body === undefined || !wasRead(req)) return false
  // Whether it is plain comes before its keys: those of a Buffer are one string for each byte.
  if (hasFiles || typeof body !== 'object' || body === null || !isPlain(body) || Object.keys(body).length > 0)
    return true
  // A body that really is `{}` is short, and JSON; without a declared length it does not count as short.
  const isShort = Number(req.headers['content-length']) <= 4
  return (
    (saysSo ?? (req as unknown as { _body?: boolean })._body === true) ||
    (isShort && /\bjson\b/i.test(req.headers['content-type'] ?? ''))
  )
}

/** A file whose contents are not at hand. A body that has one cannot be compared, so its request runs unguarded, with a warning. */
class FileElsewhere {}

/**
 * Uploaded files in a form that can be compared: with contents (multer's memory storage) or digest (formidable's `hashAlgorithm`),
 * without their paths on disk, which are new for each request.
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
