// The answer that says what is wrong (RFC 9457).

import { STATUS_CODES } from 'node:http'
import type { Problem } from './messages.js'
import type { Reply } from './reply.js'

export function composeProblem(problem: Problem, retryAfterMs: number | undefined, docsUrl: string | undefined): Reply {
  const headers: [string, string][] = [
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
  ]
  // RFC 9110, section 10.2.3: whole seconds.
  if (retryAfterMs !== undefined) headers.push(['Retry-After', String(Math.max(1, Math.ceil(retryAfterMs / 1_000)))])
  // RFC 8288, with the relation that the Idempotency-Key draft uses.
  const appended = docsUrl === undefined ? [] : [['Link', `<${docsUrl}>; rel="describedby"`] as const]
  return {
    status: problem.status,
    message: STATUS_CODES[problem.status] ?? '',
    removed: [],
    headers,
    appended,
    body: Buffer.from(JSON.stringify(problem)),
    form: 'json',
  }
}
