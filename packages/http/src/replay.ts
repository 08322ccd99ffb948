// Answering a duplicate with a recorded response.

import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import fresh from 'fresh'
import type { RecordedResponse } from './record.js'

export interface ReplayFacts {
  readonly ageMs: number
  /** The duplicate waited for the response while it was in flight. */
  readonly joined: boolean
  /** The request named its operation by an Idempotency-Key. */
  readonly isIdempotent: boolean
}

/** Does nothing if the response was begun or its client is gone. */
export function replay(
  req: IncomingMessage,
  res: ServerResponse,
  recorded: RecordedResponse,
  facts: ReplayFacts,
): void {
  if (res.headersSent || res.writableEnded || res.destroyed) return
  for (const name of recorded.removed) res.removeHeader(name)
  const set = new Set<string>()
  for (const [name, value] of recorded.headers) {
    const key = name.toLowerCase()
    // The first of a name replaces what was set outside, as the handler's did; further ones are its duplicates.
    if (set.has(key)) res.appendHeader(name, value)
    else res.setHeader(name, value)
    set.add(key)
  }
  // RFC 9111, section 5.1: seconds since the response was made.
  res.setHeader('Age', Math.floor(facts.ageMs / 1_000))
  // RFC 9211: each cache adds itself at the end.
  res.appendHeader('Cache-Status', facts.joined ? 'dspinlock; collapsed' : 'dspinlock; hit')
  if (facts.isIdempotent) res.setHeader('Idempotent-Replayed', 'true')

  if (isNotModified(req, recorded)) {
    res.statusCode = 304
    for (const name of ['Content-Type', 'Content-Encoding', 'Content-Language', 'Content-Range']) res.removeHeader(name)
    res.end()
    return
  }
  res.statusCode = recorded.status
  if (recorded.message !== STATUS_CODES[recorded.status]) res.statusMessage = recorded.message
  // RFC 9110, section 8.6: none with a 204.
  if (recorded.status === 204) res.end()
  else {
    res.setHeader('Content-Length', recorded.body.byteLength)
    res.end(recorded.body)
  }
}

/** RFC 9110, section 13.2.2: a follower's own If-None-Match or If-Modified-Since, against the record's validators. */
function isNotModified(req: IncomingMessage, recorded: RecordedResponse): boolean {
  if (recorded.status !== 200 || (req.method !== 'GET' && req.method !== 'HEAD')) return false
  const valueOf = (name: string): string | undefined =>
    recorded.headers.find(([found]) => found.toLowerCase() === name)?.[1]
  return fresh(req.headers, { etag: valueOf('etag'), 'last-modified': valueOf('last-modified') })
}
