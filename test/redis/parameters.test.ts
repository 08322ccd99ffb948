// Clients made from plain parameters: each way to reach a Redis, and a lock over each.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, createServer, type Server } from 'node:tls'
import { closeSpinlocks, HashDSpinlock, type RedisParameters } from '@dspinlock/core'
import { readRedisParameters } from '@dspinlock/core/support'
import { createRedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { findFreePort, findServerBinary, type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import { Cluster, Redis } from 'ioredis'
import { failure } from '../support/failure.js'
import { sharedClusterNode } from '../support/redis-cluster.js'

describe('createRedisConnection', () => {
  const servers: RedisServer[] = []
  let directory: string
  let sentinel: ChildProcess | undefined
  let tlsServer: Server | undefined

  const start = async (...extra: string[]): Promise<RedisServer> => {
    const server = await startRedisServer(extra)
    servers.push(server)
    return server
  }
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'dspinlock-parameters-'))
  })
  after(async () => {
    await closeSpinlocks()
    tlsServer?.close()
    if (sentinel?.exitCode === null) {
      sentinel.kill('SIGKILL')
      await once(sentinel, 'exit')
    }
    await Promise.all(servers.map(server => server.stop()))
    await rm(directory, { recursive: true })
  })

  /** Connects, works, locks, and closes again. */
  const check = async (redisParams: RedisParameters): Promise<Redis | Cluster> => {
    const client = await createRedisConnection(redisParams)
    expect(client.status).to.equal('ready')
    await client.set('here', 'yes')
    expect(await client.get('here')).to.equal('yes')
    expect(await new HashDSpinlock('v', { redis: client }).run(() => 'ran')).to.equal('ran')
    const lock = new HashDSpinlock('v', { redisParams, cachedIfComputed: true })
    expect(await lock.run(() => 'never')).to.equal('ran')
    await closeSpinlocks()
    client.disconnect()
    return client
  }

  it('has the documented defaults', () => {
    expect(readRedisParameters()).to.deep.equal({
      target: { kind: 'host', host: 'localhost', port: 6379 },
      db: 0,
      ssl: false,
      connectTimeoutMs: 2_000,
      sentinelName: 'mymaster',
    })
    expect(readRedisParameters({ url: 'rediss://u%40x:p%2Fw@[::1]:7000/3' })).to.deep.include({
      target: { kind: 'host', host: '::1', port: 7000 },
      username: 'u@x',
      password: 'p/w',
      db: 3,
      ssl: true,
    })
    expect(readRedisParameters({ url: 'unix:///run/redis.sock?db=2' })).to.deep.include({
      target: { kind: 'path', path: '/run/redis.sock' },
      db: 2,
    })
  })

  it('by host and port, with a database', async () => {
    const { port } = await start()
    const client = (await check({ host: '127.0.0.1', port, db: 3 })) as Redis
    expect(client.options).to.include({ db: 3, connectTimeout: 2_000 })
    const other = await createRedisConnection({ url: `redis://127.0.0.1:${port}` })
    expect(await other.get('here')).to.equal(null)
    other.disconnect()
  })

  it('a database that the server has not is no connection, and never another database', async () => {
    const { port } = await start()
    const parameters = { host: '127.0.0.1', port, db: 16, connectTimeoutMs: 300 }
    const error = await failure(createRedisConnection(parameters))
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE_NOT_INITIALISED')
    expect((error.cause as Error).message).to.include('DB index is out of range')

    const url = `redis://127.0.0.1:${port}/16`
    for (const connection of [url, { host: '127.0.0.1', port, db: 16 }]) {
      const store = redisStore(connection, { commandTimeoutMs: 300 })
      const refused = await failure(Promise.resolve(store.inspect('key')))
      expect(refused.message).to.include('DB index is out of range').and.include('name a database that the server has')
      await store.close()
    }
    const lock = new HashDSpinlock('value', { redisParams: parameters })
    expect((await failure(lock.acquire())).code).to.equal('ERR_DSPINLOCK_STORE')
    await closeSpinlocks()
    const admin = new Redis(port, '127.0.0.1')
    expect(await admin.dbsize()).to.equal(0)
    admin.disconnect()
  })

  it('by URL and by parameters, with user name and password', async () => {
    const { port } = await start()
    const admin = new Redis(port, '127.0.0.1')
    await admin.acl('SETUSER', 'jobs', 'on', '>p@ss', '~*', '&*', '+@all')
    await admin.acl('SETUSER', 'default', 'off')
    admin.disconnect()
    await check({ url: `redis://jobs:p%40ss@127.0.0.1:${port}/1` })
    await check({ host: '127.0.0.1', port, username: 'jobs', password: 'p@ss' })
    const wrong = { host: '127.0.0.1', port, username: 'jobs', password: 'wrong-pass', connectTimeoutMs: 300 }
    const error = await failure(createRedisConnection(wrong))
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE_NOT_INITIALISED')
    expect(error.message).to.not.match(/wrong-pass|jobs/)
  }).timeout(10_000)

  it('by unix socket', async () => {
    const path = join(directory, 'redis.sock')
    await start('--unixsocket', path)
    await check({ path })
    await check({ url: `unix://${path}` })
  })

  it('over TLS, with options of its own', async () => {
    const { port } = await start()
    const psk = Buffer.from('0123456789abcdef')
    // A key agreed beforehand needs no certificate.
    const ciphers = 'PSK-AES128-GCM-SHA256'
    tlsServer = createServer(
      { ciphers, maxVersion: 'TLSv1.2', pskCallback: () => psk, pskIdentityHint: 'h' },
      socket => {
        const upstream = connect(port, '127.0.0.1')
        socket.pipe(upstream).pipe(socket)
        socket.on('error', () => upstream.destroy())
        upstream.on('error', () => socket.destroy())
      },
    ).listen(0, '127.0.0.1')
    await once(tlsServer, 'listening')
    const { port: tlsPort } = tlsServer.address() as { port: number }
    const tls: ConnectionOptions = {
      ciphers,
      maxVersion: 'TLSv1.2',
      pskCallback: () => ({ psk, identity: 'client' }),
      checkServerIdentity: () => undefined,
    }
    await check({ host: '127.0.0.1', port: tlsPort, tls })
    const plain = { host: '127.0.0.1', port: tlsPort, connectTimeoutMs: 200 }
    expect((await failure(createRedisConnection(plain))).code).to.equal('ERR_DSPINLOCK_STORE_NOT_INITIALISED')
  })

  it('of a Cluster, by one of its nodes', async () => {
    const { port } = await sharedClusterNode()
    expect(await check({ cluster: [{ host: '127.0.0.1', port }] })).to.be.instanceOf(Cluster)
  })

  it('of a master that Sentinels know', async () => {
    const monitored = [
      ['jobs', await start()],
      ['locked', await start('--requirepass', 'right')],
    ] as const
    const sentinelPort = await findFreePort()
    const config = join(directory, 'sentinel.conf')
    const masters = monitored.map(([name, { port }]) => `sentinel monitor ${name} 127.0.0.1 ${port} 1\n`)
    await writeFile(config, `port ${sentinelPort}\nbind 127.0.0.1\ndir ${directory}\n${masters.join('')}`)
    sentinel = spawn(findServerBinary() ?? 'redis-server', [config, '--sentinel'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    for await (const chunk of sentinel.stdout ?? []) {
      output += String(chunk)
      if (output.split('+monitor').length > monitored.length) break
    }
    const sentinels = [{ host: '127.0.0.1', port: sentinelPort }]
    await check({ sentinels, sentinelName: 'jobs' })
    // Between two tries, ioredis says that all Sentinels were asked, which is no reason.
    const wrong = { sentinels, sentinelName: 'locked', password: 'wrong' }
    for (const connectTimeoutMs of [300, 350, 400]) {
      const error = await failure(createRedisConnection({ ...wrong, connectTimeoutMs }))
      expect((error.cause as Error).message).to.include('WRONGPASS')
    }
    const refused = await failure(new HashDSpinlock('v', { redisParams: wrong }).run(() => 1))
    expect(refused.message).to.match(/WRONGPASS .+ check user name and password/)
  })

  it('says within its timeout what was not reached', async () => {
    const port = await findFreePort()
    const startedAt = performance.now()
    const error = await failure(
      createRedisConnection({ host: '127.0.0.1', port, password: 'secret', connectTimeoutMs: 200 }),
    )
    expect(performance.now() - startedAt).to.be.within(150, 1_500)
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE_NOT_INITIALISED')
    expect(error.message).to.include(`127.0.0.1:${port}`).and.not.include('secret')
    expect((error.cause as Error).message).to.include('ECONNREFUSED')
    expect(await failure(createRedisConnection({ port: -1 }))).to.be.instanceOf(TypeError)
  })

  it('a URL in place of parameters is a TypeError that does not show it', async () => {
    const url = 'redis://:secret@127.0.0.1' as unknown as RedisParameters
    const error = await failure(createRedisConnection(url))
    expect(error).to.be.instanceOf(TypeError)
    expect(error.message)
      .to.match(/redisParams must be .+\{ url \}/)
      .and.not.include('secret')
  })
})
