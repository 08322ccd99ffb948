// The floors: the two commands that a lock is made of, and two commands that do nothing.

import { createHash } from 'node:crypto'
import { LEASE_MS, type LockLibrary } from './library.js'

const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/** `SET NX PX`, and one EVALSHA that deletes what is one's own. It does not wait: where it is used, nobody contends. */
export const rawPair: LockLibrary = {
  name: 'raw pair (SET NX PX, EVALSHA)',
  package: 'ioredis',
  async open(client) {
    const sha = createHash('sha1').update(RELEASE).digest('hex')
    await client.script('LOAD', RELEASE)
    let number = 0
    return {
      async acquire(key) {
        const token = `${process.pid}.${++number}`
        if ((await client.set(key, token, 'PX', LEASE_MS, 'NX')) !== 'OK') throw new Error(`${key} was held`)
        return () => client.evalsha(sha, 1, key, token)
      },
    }
  },
}

export const twoPings: LockLibrary = {
  name: 'two PINGs',
  package: 'ioredis',
  async open(client) {
    return {
      async acquire() {
        await client.ping()
        return () => client.ping()
      },
    }
  },
}
