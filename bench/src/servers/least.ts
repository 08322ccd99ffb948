// The least that something in the place of a middleware can do, which is the best that could be reached.

import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler, Response } from 'express'
import { Redis } from 'ioredis'
import { makeAnswer } from './answers.js'
import type { Least } from './spec.js'

const body = JSON.stringify(makeAnswer('again'))
/** The headers that a replay has. */
const headers = [
  ['Content-Type', 'application/json; charset=utf-8'],
  ['ETag', 'W/"400-2jmj7l5rSw0yVb/vlWAYkK/YBwk"'],
  ['Age', '0'],
  ['Cache-Status', 'dspinlock; hit'],
  ['Content-Length', String(body.length)],
].flat()

/** For servers without a framework. */
export function answerAtOnce(_req: IncomingMessage, res: ServerResponse): void {
  answer(res, body)
}

export function makeLeast({ does, store, isDeferred }: Least, redisUrl: string): RequestHandler {
  const least = choose(does, store, redisUrl)
  return isDeferred ? (req, res, next) => void setImmediate(() => least(req, res, next)) : least
}

function choose(does: Least['does'], store: Least['store'], redisUrl: string): RequestHandler {
  switch (does) {
    case 'pass':
      return (_req, _res, next) => next()
    case 'answer':
      return answerAtOnce
    case 'ask':
      return askRedis(connect(redisUrl))
    case 'record':
      return store === 'redis' ? recordInRedis(connect(redisUrl)) : recordInMemory()
  }
}

function answer(res: ServerResponse, text: string): void {
  res.writeHead(200, headers).end(text, 'latin1')
}

/** Lets the commands of one turn of the event loop leave in one write. */
function connect(redisUrl: string): Redis {
  return new Redis(redisUrl, { enableAutoPipelining: true })
}

function askRedis(redis: Redis): RequestHandler {
  return async (req, res) => {
    const known = await redis.get(req.url)
    if (known === null) await redis.set(req.url, body)
    answer(res, known ?? body)
  }
}

/** A name from one hash, a note that its request is running, and then the answer in place of the note. */
function recordInMemory(): RequestHandler {
  const records = new Map<string, string>()
  return (req, res, next) => {
    const name = nameOf(req.body)
    const record = records.get(name)
    if (record !== undefined) return answer(res, record)
    records.set(name, '')
    const end = endOf(res)
    res.end = (...args: unknown[]): Response => {
      records.set(name, String(args[0]))
      return end(...args)
    }
    next()
  }
}

/** Sends the answer when Redis has it. */
function recordInRedis(redis: Redis): RequestHandler {
  return async (req, res, next) => {
    const name = nameOf(req.body)
    const record = await redis.set(name, '', 'PX', 60_000, 'NX', 'GET')
    if (record !== null) return answer(res, record)
    const end = endOf(res)
    res.end = (...args: unknown[]): Response => {
      void redis.set(name, String(args[0]), 'PX', 600_000).then(() => end(...args))
      return res
    }
    next()
  }
}

function nameOf(value: unknown): string {
  return hash('sha256', JSON.stringify(value), 'base64url')
}

function endOf(res: Response): (...args: unknown[]) => Response {
  return res.end.bind(res) as (...args: unknown[]) => Response
}
