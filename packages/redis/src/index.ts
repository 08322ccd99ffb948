// dspinlock's store on Redis or Valkey.

export type { RedisNode, RedisParameters } from '@dspinlock/core'
export type { RedisClient } from './connection.js'
export { createRedisConnection, parameterStore } from './parameters.js'
export { RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'
