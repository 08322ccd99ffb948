// Answering with a problem (RFC 9457).

import type { ServerResponse } from 'node:http'
import type { Problem } from './messages.js'

/** Does nothing if the response was begun or its client is gone. */
export function sendProblem(
  res: ServerResponse,
  problem: Problem,
  retryAfterMs: number | undefined,
  docsUrl: string | undefined,
): void {
  if (res.headersSent || res.writableEnded || res.destroyed) return
  const body = JSON.stringify(problem)
  res.statusCode = problem.status
  res.setHeader('Content-Type', 'application/problem+json')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.setHeader('Cache-Control', 'no-store')
  // RFC 9110, section 10.2.3: whole seconds.
  if (retryAfterMs !== undefined) res.setHeader('Retry-After', Math.max(1, Math.ceil(retryAfterMs / 1_000)))
  // RFC 8288, with the relation that the Idempotency-Key draft uses.
  if (docsUrl !== undefined) res.appendHeader('Link', `<${docsUrl}>; rel="describedby"`)
  res.end(body)
}
