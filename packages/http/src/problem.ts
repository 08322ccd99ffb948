// Makes the answer that tells a client why its request was refused (RFC 9457).

import { type IncomingMessage, STATUS_CODES } from 'node:http'
import type { Problem } from './messages.js'
import type { Reply } from './reply.js'
import { isHttp1 } from './versions.js'

/** What code in front said of the answer that there would have been; finalhandler drops the like of an error. */
const OF_THE_ANSWER = [
  'content-encoding',
  'content-language',
  'content-range',
  'content-disposition',
  'etag',
  'last-modified',
]

export function composeProblem(req: IncomingMessage, problem: Problem, docsUrl: string | undefined): Reply {
  const { status, code } = problem
  const headers: [string, string][] = [
    ['Content-Type', 'application/problem+json'],
    ['Cache-Control', 'no-store'],
  ]
  // The problems that say "Try again later".
  if (status === 429 || status === 503 || code === 'in-flight') headers.push(['Retry-After', '1'])
  // Or a client that tries again on its connection would come back to this server. HTTP/2 has no such field (RFC 9113, section 8.2.2).
  if (code === 'closing' && isHttp1(req)) headers.push(['Connection', 'close'])
  return {
    status,
    message: STATUS_CODES[status] ?? '',
    removed: OF_THE_ANSWER,
    headers,
    // RFC 8288, with the relation that the Idempotency-Key draft uses.
    appended: docsUrl === undefined ? [] : [['Link', `<${docsUrl}>; rel="describedby"`]],
    body: Buffer.from(JSON.stringify(problem)),
    form: 'json',
  }
}
