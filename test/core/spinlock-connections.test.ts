// How locks reach their store: locks that name the same Redis share one connection, and there is a warning if none is named.

import { execFile } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { closeSpinlocks, HashDSpinlock } from '@dspinlock/core'
import { createRedisConnection } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Redis } from 'ioredis'
import * as nodeRedis from 'redis'
import * as nodeRedis5 from 'redis5'
import { failure } from '../support/failure.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { sharedClusterNode } from '../support/redis-cluster.js'

const run = promisify(execFile)

describe('spinlock: connections', () => {
  let redis: RedisServer
  let admin: Redis

  before(async () => {
    redis = await startRedisServer()
    admin = new Redis(redis.url)
    await admin.ping()
  })
  after(async () => {
    await closeSpinlocks()
    admin.disconnect()
    await redis.stop()
  })

  /** Connections besides the one that asks. */
  const countConnections = async (): Promise<number> => {
    const list = (await admin.client('LIST')) as string
    return list.trim().split('\n').length - 1
  }
  const untilConnections = async (count: number): Promise<void> => {
    for (let n = 0; n < 200 && (await countConnections()) !== count; n++) await new Promise(r => setTimeout(r, 10))
    expect(await countConnections()).to.equal(count)
  }

  it('locks with equal parameters share two, however many there are; other parameters have their own', async () => {
    const { port } = redis
    const equal = [
      { redisParams: { host: '127.0.0.1', port } },
      { redisParams: { db: 0, ssl: false, port, host: '127.0.0.1' } },
    ]
    const work = Array.from({ length: 60 }, (_, n) => new HashDSpinlock(['shared', n % 7], equal[n % 2]).run(() => n))
    expect(await Promise.all(work)).to.have.length(60)
    await untilConnections(2)
    await new HashDSpinlock('other', { redisParams: { url: redis.url, db: 1 } }).run(() => 1)
    await untilConnections(4)
    await closeSpinlocks()
    await untilConnections(0)
    await new HashDSpinlock('anew', equal[0]).run(() => 1)
    await closeSpinlocks()
  })

  it('locks on one client share it and one more for wake-ups, which ends with it; the client stays its owner’s', async () => {
    const client = await createRedisConnection({ url: redis.url })
    const work = Array.from({ length: 60 }, (_, n) =>
      new HashDSpinlock(['client', n % 7], { redis: client }).run(() => n),
    )
    await Promise.all(work)
    await untilConnections(2)
    await closeSpinlocks()
    await untilConnections(1)
    expect(await client.ping()).to.equal('PONG')
    for (let n = 0; n < 3; n++) {
      await closeSpinlocks()
      expect(client.listenerCount('end'), 'nothing is left with it').to.equal(0)
      await new HashDSpinlock('again', { redis: client }).run(() => 1)
    }
    await untilConnections(2)
    await client.quit()
    await untilConnections(0)
  })

  it('closing once more waits for the holders all the same', async () => {
    const holder = await new HashDSpinlock('closed over', { redisParams: { url: redis.url } }).acquire()
    let closed = 0
    const closing = [closeSpinlocks(), closeSpinlocks()].map(close => close.then(() => closed++))
    await nextTurn()
    expect(closed).to.equal(0)
    await holder.release()
    await Promise.all(closing)
  })

  it('locks made in the options’ various ways exclude each other', async () => {
    const client = await createRedisConnection({ url: redis.url })
    const holder = await new HashDSpinlock('meet', { redis: client }).acquire()
    const other = new HashDSpinlock('meet', { redisParams: { url: redis.url }, maxSpinlockTries: 1 })
    expect((await failure(other.acquire())).code).to.equal('ERR_DSPINLOCK_TRIES_EXCEEDED')
    await holder.release()
    await other.run(() => 1)
    await client.quit()
    await closeSpinlocks()
  })

  it('a script that used redisParams exits by itself', async () => {
    const script = fileURLToPath(new URL('./lock-once-on-redis.js', import.meta.url))
    const { stdout } = await run(process.execPath, [script, redis.url], { timeout: 5_000 })
    expect(stdout).to.equal('done')
  })

  it('a script that ends its client while it holds a lock exits by itself, and writes nothing to that client any more', async () => {
    const script = fileURLToPath(new URL('./hold-past-client.js', import.meta.url))
    const { stdout, stderr } = await run(process.execPath, [script, redis.url], { timeout: 5_000 })
    expect({ stdout, stderr }).to.deep.equal({ stdout: 'ended', stderr: '' })
  })

  it('who waits is told as soon as the client ends, also of a cluster through node-redis, which says so by another name', async () => {
    const node = await sharedClusterNode()
    const rootNodes = [{ url: node.url }]
    const holder = nodeRedis.createCluster({ rootNodes })
    await holder.connect()
    for (const client of [nodeRedis.createCluster({ rootNodes }), nodeRedis5.createCluster({ rootNodes })]) {
      await client.connect()
      const held = await new HashDSpinlock('ends', { redis: holder }).acquire()
      const waiting = failure(new HashDSpinlock('ends', { redis: client, maxSpinlockTries: 100 }).acquire())
      await untilSo('it waits', async () => {
        const crowds = (await askServer(node.port, 'KEYS', 'dspinlock:*:w')) as string[]
        return crowds.length === 1
      })
      client.destroy()
      expect((await waiting).code).to.equal('ERR_DSPINLOCK_CLOSED')
      await held.release()
      await askServer(node.port, 'FLUSHALL')
    }
    holder.destroy()
  })

  it('a client that is none after all is a StoreNotInitialisedError', async () => {
    class Client extends EventEmitter {
      duplicate(): void {}
    }
    const client = new Client()
    const error = await failure(new HashDSpinlock('v', { redis: client }).acquire())
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE_NOT_INITIALISED')
    expect(error.cause).to.be.instanceOf(TypeError)
    expect(client.listenerCount('end'), 'nothing is left with it').to.equal(0)
  })

  it('without any, locks exclude each other in this process, and a hint says once that it ends there', async () => {
    const script = fileURLToPath(new URL('./lock-in-memory.js', import.meta.url))
    const { stdout, stderr } = await run(process.execPath, [script])
    expect(stdout).to.equal('1 at most')
    expect(stderr.match(/DSPINLOCK_W_SPINLOCK_MEMORY/g)).to.have.length(1)
    expect(stderr).to.match(/other processes.*redisParams/)
  })

  it('without @dspinlock/redis, an error says what to install', async () => {
    const core = dirname(dirname(createRequire(import.meta.url).resolve('@dspinlock/core')))
    const directory = await mkdtemp(join(tmpdir(), 'dspinlock-alone-'))
    try {
      const alone = join(directory, 'node_modules', '@dspinlock', 'core')
      await cp(join(core, 'dist'), join(alone, 'dist'), { recursive: true })
      await cp(join(core, 'package.json'), join(alone, 'package.json'))
      const script = join(directory, 'script.mjs')
      await writeFile(
        script,
        `import { HashDSpinlock } from '@dspinlock/core'
         await new HashDSpinlock('v', { redisParams: {} }).acquire().catch(e => console.log(e.code + ' ' + e.message + ' ' + e.key))`,
      )
      const { stdout } = await run(process.execPath, [script])
      expect(stdout).to.match(
        /^ERR_DSPINLOCK_STORE_NOT_INITIALISED .*npm install @dspinlock\/redis ioredis.* dspinlock,/,
      )
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
