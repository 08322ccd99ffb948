// node-idempotency's core and its stores, mounted as its package for Express does, because that package cannot be installed.

import { Idempotency, type IdempotencyParams } from '@node-idempotency/core'
import { MemoryStorageAdapter } from '@node-idempotency/storage-adapter-memory'
import { RedisStorageAdapter } from '@node-idempotency/storage-adapter-redis'
import type { Request, RequestHandler } from 'express'
import type { Mounted, Setting, StoreKind, Subject } from './subject.js'

type Storage = ConstructorParameters<typeof Idempotency>[0]

async function mount({ store, redisUrl }: Setting): Promise<Mounted> {
  const storage = await open(store, redisUrl)
  const idempotency = new Idempotency(storage, { inProgressStrategy: { wait: true } })
  const handler: RequestHandler = (req, res, next) => {
    const asked = read(req)
    idempotency.onRequest<unknown, unknown>(asked).then(known => {
      if (known !== undefined) {
        const { statusCode, contentType } = known.additional as { statusCode: number; contentType: string }
        res.status(statusCode).type(contentType).send(known.body)
        return
      }
      const send = res.send.bind(res)
      res.send = body => {
        res.send = send
        const answer = { body, additional: { statusCode: res.statusCode, contentType: res.get('content-type') } }
        idempotency.onResponse(asked, answer).then(() => send(body), next)
        return res
      }
      next()
    }, next)
  }
  return { handler }
}

async function open(store: StoreKind, url: string): Promise<Storage> {
  if (store === 'memory') return new MemoryStorageAdapter()
  const storage = new RedisStorageAdapter({ url })
  await storage.connect()
  return storage
}

function read(req: Request): IdempotencyParams {
  return { headers: req.headers, path: req.originalUrl, body: req.body, method: req.method }
}

export const nodeIdempotency: Subject = {
  name: 'node-idempotency',
  packages: [
    '@node-idempotency/core',
    '@node-idempotency/storage-adapter-memory',
    '@node-idempotency/storage-adapter-redis',
  ],
  mount,
}
