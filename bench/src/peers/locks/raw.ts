// The floors: the two commands that a lock is made of, the same by scripts, and two commands that do nothing.

import { createHash } from 'node:crypto'
import type { Redis } from 'ioredis'
import { LEASE_MS, type LockLibrary } from './library.js'

const CLAIM = `return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2], 'NX')`
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

/** `SET NX PX`, and one EVALSHA that deletes the key if it is one's own. It does not wait, because there is no contention where it is used. */
export const rawPair: LockLibrary = {
  name: 'raw pair (SET NX PX, EVALSHA)',
  package: 'ioredis',
  async open(client) {
    const release = await load(client, RELEASE)
    return {
      async acquire(key) {
        const token = nextToken()
        if ((await client.set(key, token, 'PX', LEASE_MS, 'NX')) !== 'OK') throw new Error(`${key} was held`)
        return () => client.evalsha(release, 1, key, token)
      },
    }
  },
}

/** The least that a lock with a queue can do: a claim takes a script, too. */
export const twoScripts: LockLibrary = {
  name: 'the raw pair, by two scripts',
  package: 'ioredis',
  async open(client) {
    const [claim, release] = await Promise.all([load(client, CLAIM), load(client, RELEASE)])
    return {
      async acquire(key) {
        const token = nextToken()
        if ((await client.evalsha(claim, 1, key, token, LEASE_MS)) !== 'OK') throw new Error(`${key} was held`)
        return () => client.evalsha(release, 1, key, token)
      },
    }
  },
}

async function load(client: Redis, script: string): Promise<string> {
  await client.script('LOAD', script)
  return createHash('sha1').update(script).digest('hex')
}

let tokens = 0
const nextToken = (): string => `${process.pid}.${++tokens}`

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
