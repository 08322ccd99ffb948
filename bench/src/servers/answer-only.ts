// The least that can be done where a middleware stands: what no replay can do without.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { makeAnswer } from './answers.js'

const body = JSON.stringify(makeAnswer('again'))
/** As a replay has them. */
const headers = [
  ['Content-Type', 'application/json; charset=utf-8'],
  ['ETag', 'W/"400-2jmj7l5rSw0yVb/vlWAYkK/YBwk"'],
  ['Age', '0'],
  ['Cache-Status', 'dspinlock; hit'],
  ['Content-Length', String(body.length)],
].flat()

export function answerOnly(_req: IncomingMessage, res: ServerResponse): void {
  res.writeHead(200, headers).end(body, 'latin1')
}
