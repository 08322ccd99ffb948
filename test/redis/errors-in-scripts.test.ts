// Errors of commands inside the script, in the form in which Redis 6.2 reports them, are treated like those of newer servers.

import { randomUUID } from 'node:crypto'
import { LockEngine } from '@dspinlock/core'
import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { redisUrl } from '../support/redis.js'

const wrapped = (error: string): Error =>
  new Error(`ERR Error running script (call to f_${'0a'.repeat(20)}): @user_script:196: @user_script: 196: -${error}`)

describe('an error in the script of Redis 6.2', () => {
  let redis: Redis
  before(() => {
    redis = new Redis(redisUrl())
  })
  after(() => redis.disconnect())

  /** An engine on a client whose first commands are answered with these errors. */
  const engineWith = (...errors: Error[]): LockEngine => {
    const client = {
      isCluster: false,
      send: (_key: string, [name = '', ...args]: readonly string[]) => {
        const error = name.startsWith('eval') ? errors.shift() : undefined
        return error === undefined ? redis.callBuffer(name, ...args) : Promise.reject(error)
      },
      sendAndWait: () => Promise.reject(new Error('not used')),
      scan: () => [],
      listen: () => ({ close: () => {} }),
      close: () => {},
    }
    return new LockEngine({
      store: redisStore(client as unknown as RedisConnection, { prefix: `test-${randomUUID()}` }),
    })
  }

  it('that passes is waited for', async () => {
    const engine = engineWith(
      wrapped("READONLY You can't write against a read only replica."),
      wrapped('NOREPLICAS Not enough good replicas to write.'),
    )
    await holdOf(await engine.enter('k')).release()
    await engine.close()
  })

  it('that does not is reported with its remedy', async () => {
    const engine = engineWith(wrapped("OOM command not allowed when used memory > 'maxmemory'."))
    expect((await failure(engine.enter('k'))).message).to.match(/: OOM command.*raise maxmemory/)
    await engine.close()
  })
})
