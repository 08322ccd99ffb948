// Makes the answer that tells a client why its request was refused (RFC 9457).

import { STATUS_CODES } from 'node:http'
import type { Problem } from './messages.js'
import type { Reply } from './reply.js'

export function composeProblem(problem: Problem, docsUrl: string | undefined): Reply {
  const headers: [string, string][] = [
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
  ]
  if (isPassing(problem)) headers.push(['Retry-After', '1'])
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

/** Whether the same request may be answered a moment later: the problems that say "Try again later". */
function isPassing({ status, code }: Problem): boolean {
  return status === 429 || status === 503 || code === 'in-flight'
}
