// The answer that says what is wrong (RFC 9457).

import { STATUS_CODES } from 'node:http'
import type { Problem } from './messages.js'
import type { Reply } from './reply.js'

export function composeProblem(problem: Problem, retryAfterMs: number | undefined): Reply {
  const headers: [string, string][] = [
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
  ]
  // RFC 9110, section 10.2.3: whole seconds.
  if (retryAfterMs !== undefined) headers.push(['Retry-After', String(Math.max(1, Math.ceil(retryAfterMs / 1_000)))])
  return {
    status: problem.status,
    message: STATUS_CODES[problem.status] ?? '',
    removed: [],
    headers,
    appended: [],
    body: Buffer.from(JSON.stringify(problem)),
    form: 'json',
  }
}
