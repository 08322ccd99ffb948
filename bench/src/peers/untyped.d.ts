// Types for the parts that are used of packages without types of their own.

declare module 'redlock4' {
  import type { Redis } from 'ioredis'
  export interface Lock {
    unlock(): Promise<void>
  }
  export default class Redlock {
    constructor(clients: readonly Redis[], options?: object)
    lock(resource: string, ttlMs: number): Promise<Lock>
  }
}

declare module 'apicache' {
  import type { RequestHandler } from 'express'

  interface ApiCache {
    newInstance(options?: object): ApiCache
    middleware(duration: string): RequestHandler
  }
  const apicache: ApiCache
  export default apicache
}

declare module 'express-idempotency-redis-adapter' {
  export default class RedisAdapter {
    constructor(options: { connectionConfig: { url: string } })
    connect(): Promise<void>
  }
}

// This package has types, but its package.json does not lead to them.
declare module 'redlock5' {
  export interface Lock {
    release(): Promise<unknown>
  }
  export default class Redlock {
    constructor(clients: readonly unknown[], options?: object)
    acquire(resources: readonly string[], durationMs: number): Promise<Lock>
  }
}
