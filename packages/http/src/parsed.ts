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

/** A file whose contents are not at hand: comparing the body that it belongs to says so, and the request runs unguarded. */
class FileElsewhere {}

/**
 * Uploaded files as they can be compared: by contents (multer's memory storage) or digest (formidable's `hashAlgorithm`). Their
 * paths on disk are new for each request.
 */
export function listFiles(files: unknown): unknown {
  if (Array.isArray(files)) return files.map(listFiles)
  if (typeof files !== 'object' || files === null) return files
  const { originalname, originalFilename, mimetype, size, buffer, hash } = files as Record<string, unknown>
  if (Buffer.isBuffer(buffer)) return { name: originalname, mimetype, buffer }
  if (typeof hash === 'string') return { name: originalFilename, mimetype, size, hash }
  const isOne = originalname !== undefined || originalFilename !== undefined || size !== undefined
  if (isOne || Object.getPrototypeOf(files) !== Object.prototype) return new FileElsewhere()
  return Object.fromEntries(Object.entries(files).map(([field, of]) => [field, listFiles(of)]))
}
