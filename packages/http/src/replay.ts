// Makes the answer to a duplicate from a recorded response.

import type { IncomingMessage } from 'node:http'
import fresh from 'fresh'
import type { RecordedResponse } from './record.js'
import { hasNoBody, isNamed, isSafeMethod, valueOf } from './replayable.js'
import type { Reply } from './reply.js'

export interface ReplayFacts {
  readonly ageMs: number
  /** The duplicate waited for the response while it was in flight. */
  readonly joined: boolean
  /** The request named its operation by an Idempotency-Key. */
  readonly isIdempotent: boolean
}

/** Headers that describe a body, which a 304 does not have. */
const OF_A_BODY = ['content-type', 'content-encoding', 'content-language', 'content-range']

export function composeReplay(req: IncomingMessage, recorded: RecordedResponse, facts: ReplayFacts): Reply {
  const { status, message, removed, body, form } = recorded
  let age = 0
  const headers: (readonly [string, string])[] = []
  for (const header of recorded.headers) {
    if (isNamed(header[0], 'age')) age = readAge(header[1])
    else headers.push(header)
  }
  headers.push(['Age', String(age + Math.floor(facts.ageMs / 1_000))])
  if (facts.isIdempotent) headers.push(['Idempotent-Replayed', 'true'])
  // RFC 9211: each cache adds itself at the end.
  const appended = [['Cache-Status', facts.joined ? 'dspinlock; collapsed' : 'dspinlock; hit']] as const
  if (isNotModified(req, recorded)) {
    return {
      status: 304,
      message: 'Not Modified',
      removed: [...removed, ...OF_A_BODY],
      headers: headers.filter(([name]) => !OF_A_BODY.includes(name.toLowerCase())),
      appended,
      body: undefined,
      form: 'bytes',
    }
  }
  const isEmpty = hasNoBody(status) || form === 'none'
  return { status, message, removed, headers, appended, body: isEmpty ? undefined : body, form }
}

/** RFC 9111, section 4.2.3: how old the response was already, in seconds, if the handler got it from a cache. */
function readAge(age: string): number {
  return /^\d{1,10}$/.test(age) ? Number(age) : 0
}

/** RFC 9110, section 13.2.2: compares the follower's own If-None-Match or If-Modified-Since with the record's validators. */
function isNotModified(req: IncomingMessage, recorded: RecordedResponse): boolean {
  if (recorded.status !== 200 || !isSafeMethod(req.method)) return false
  const { headers } = recorded
  return fresh(req.headers, { etag: valueOf(headers, 'etag'), 'last-modified': valueOf(headers, 'last-modified') })
}
