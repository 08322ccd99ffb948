// express-idempotency, with its own Redis adapter.

import { getSharedIdempotencyService, idempotency } from 'express-idempotency'
import redisAdapter from 'express-idempotency-redis-adapter'
import type { Subject } from './subject.js'

// Compiled to CommonJS with a default export, which an ES module sees one level deeper.
const RedisAdapter = (redisAdapter as unknown as { default: typeof redisAdapter }).default

export const expressIdempotency: Subject = {
  name: 'express-idempotency',
  packages: ['express-idempotency', 'express-idempotency-redis-adapter'],
  async mount({ store, redisUrl }) {
    if (store === 'memory')
      return { handler: idempotency(), hasAnswered: req => getSharedIdempotencyService().isHit(req) }
    const adapter = new RedisAdapter({ connectionConfig: { url: redisUrl } })
    await adapter.connect()
    const handler = idempotency({ dataAdapter: adapter as never })
    return { handler, hasAnswered: req => getSharedIdempotencyService().isHit(req) }
  },
}
