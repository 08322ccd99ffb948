// dspinlock's store on Redis or Valkey.

export type { RedisClient } from './connection.js'
export { RedisStore, type RedisStoreOptions, redisStore } from './redis-store.js'
