// apicache: a cache of responses by URL, which lets simultaneous duplicates through.

import apicache from 'apicache'
import { Redis } from 'ioredis'
import type { Subject } from './subject.js'

export const apicacheSubject: Subject = {
  name: 'apicache',
  packages: ['apicache'],
  async mount({ store, redisUrl }) {
    if (store === 'memory') return { handler: apicache.newInstance().middleware('1 hour') }
    // apicache looks for `connected`, as node-redis 3 has it, whose callback commands ioredis supports as well.
    const redisClient = Object.assign(new Redis(redisUrl), { connected: true })
    return { handler: apicache.newInstance({ redisClient }).middleware('1 hour') }
  },
}
