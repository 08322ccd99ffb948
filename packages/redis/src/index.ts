// dspinlock's store on Redis or Valkey.

export type { RedisNode, RedisParameters } from '@dspinlock/core'
export type { ChannelListener, CommandPart, StoreClient } from './clients/client.js'
export { type GlideClientClass, glideConnection } from './clients/glide.js'
export type { IoredisClient } from './clients/ioredis.js'
export type { NodeRedisClient } from './clients/node-redis.js'
export type { RedisClient } from './connection.js'
export type { LocalCacheOptions } from './local-cache.js'
export type { RedisStoreOptions } from './options.js'
export { createRedisConnection, parameterStore } from './parameters.js'
export { type RedisConnection, RedisStore, redisStore } from './redis-store.js'
