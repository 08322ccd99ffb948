// While Redis is away, requests are answered within the command timeout, as the option says, and locking works again once it is back.

import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { channels, LockEngine, type Store, type TroubleEvent } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import express from 'express'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { createCluster, type RedisClusterType } from 'redis'
import { failure, holdOf } from '../support/engine.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { serve, type TestServer } from '../support/http.js'
import { askServer, untilSo } from '../support/redis-admin.js'
import { type RedisCluster, sharedCluster } from '../support/redis-cluster.js'

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('Redis away', () => {
  let redis: RedisServer
  let server: TestServer
  let store: ReturnType<typeof redisStore>
  let runs = 0

  before(async () => {
    redis = await startRedisServer()
    store = redisStore(redis.url, { commandTimeoutMs: 300 })
    const app = express()
    for (const onStoreError of ['reject', 'bypass', 'local'] as const) {
      const guard = dspinlock({ store, onStoreError, duplicates: 'replay', ttlMs: 60_000 })
      app.get(`/${onStoreError}`, guard, (req, res) => {
        runs++
        setTimeout(() => res.json({ role: req.dspinlock?.role, runs }), 50)
      })
    }
    server = await serve(app)
    expect((await server.ask('/reject?up')).status).to.equal(200)
    await redis.kill()
  })
  beforeEach(() => {
    runs = 0
  })
  after(async () => {
    await server.stop()
    await store.close()
    await redis.stop()
  })

  it("'reject' answers 503 with a problem within the timeout", async () => {
    const startedAt = performance.now()
    const answer = await server.ask('/reject')
    expect(performance.now() - startedAt).to.be.below(1_500)
    expect([answer.status, answer.headers['content-type']]).to.deep.equal([503, 'application/problem+json'])
    expect(runs).to.equal(0)
  })

  it("'bypass' runs each unguarded", async () => {
    const answers = await Promise.all([server.ask('/bypass'), server.ask('/bypass')])
    expect(answers.map(answer => answer.status)).to.deep.equal([200, 200])
    expect(runs).to.equal(2)
    expect(JSON.parse(answers[0]?.body ?? '')).to.include({ role: 'bypassed' })
  })

  it("'local' keeps excluding inside the process", async () => {
    const answers = await Promise.all([server.ask('/local'), server.ask('/local')])
    expect(answers.map(answer => answer.status)).to.deep.equal([200, 200])
    expect(runs).to.equal(1)
  })

  it('once it has lasted for the timeout, nobody is kept waiting by it', async () => {
    const other = redisStore(redis.url, { commandTimeoutMs: 1_000 })
    const engine = new LockEngine({ store: other })
    const ask = async (): Promise<number> => {
      const startedAt = performance.now()
      expect((await failure(engine.enter('key'))).code).to.equal('ERR_DSPINLOCK_STORE')
      return performance.now() - startedAt
    }
    try {
      const first = await ask()
      let rest = 0
      for (let n = 0; n < 10; n++) rest += await ask()
      expect(first).to.be.above(500)
      expect(rest).to.be.below(first / 2)
    } finally {
      await engine.close()
      await other.close()
    }
  })

  it('two short interruptions are no outage, though nothing was asked in between', async () => {
    const reachable = await startRedisServer()
    const proxy = await FaultProxy.open(reachable.port)
    const other = redisStore(proxy.url, { commandTimeoutMs: 1_500 })
    const engine = new LockEngine({ store: other })
    const listens = (): Promise<void> =>
      new Promise(resolve => {
        proxy.onRequest = request => {
          if (/\r\nsubscribe\r\n/i.test(request.toString('latin1'))) resolve()
        }
      })
    const interrupt = async (): Promise<void> => {
      const told = new Promise<void>(resolve => {
        const listener = (event: unknown): void => {
          // Not of the server that is away for the others here.
          if (!String((event as TroubleEvent).error).includes('ECONNRESET')) return
          channels.trouble.unsubscribe(listener)
          resolve()
        }
        channels.trouble.subscribe(listener)
      })
      proxy.refuse()
      await told
    }
    try {
      await listens()
      await interrupt()
      const again = listens()
      proxy.heal()
      await again
      await delay(1_600)
      await interrupt()
      const entered = engine.enter('key')
      proxy.heal()
      await holdOf(await entered).release()
    } finally {
      await engine.close()
      await other.close()
      await proxy.close()
      await reachable.stop()
    }
  })

  it('what ends a hold is tried for as long as ever: the connection may be back in time', async () => {
    const reachable = await startRedisServer()
    const proxy = await FaultProxy.open(reachable.port)
    const other = redisStore(proxy.url, { commandTimeoutMs: 1_500 })
    const engine = new LockEngine({ store: other })
    try {
      const hold = holdOf(await engine.enter('key'))
      proxy.refuse()
      for (let n = 0; n < 2; n++) await failure(engine.enter('another'))
      const released = hold.release()
      proxy.heal()
      expect(await released).to.equal(true)
    } finally {
      await engine.close()
      await other.close()
      await proxy.close()
      await reachable.stop()
    }
  })

  /** Connecting may take longer than these stores wait. */
  const connected = (store: Store): Promise<void> =>
    untilSo('it is connected', async () => (await store.inspect('key')) === undefined)

  for (const [what, leaseMs] of [
    ['its lease', 10_000],
    ['a minute after it, if nobody claims the key', 20],
  ] as const) {
    it(`the record of work that ends in an outage is stored once Redis is back, within ${what}`, async () => {
      const reachable = await startRedisServer()
      const proxy = await FaultProxy.open(reachable.port)
      const [cutOff, other] = [proxy.url, reachable.url].map(url => redisStore(url, { commandTimeoutMs: 100 })) as [
        Store,
        Store,
      ]
      const engine = new LockEngine({ store: cutOff })
      try {
        const policy = { duplicates: 'replay', ttlMs: 60_000, leaseMs } as const
        await connected(cutOff)
        const hold = holdOf(await engine.enter('key', policy))
        proxy.refuse()
        const error = await failure(Promise.resolve(hold.settle(Uint8Array.of(1))))
        expect(error.code).to.equal('ERR_DSPINLOCK_STORE')
        if (leaseMs === 20)
          await untilSo('its lease is over', async () => (await other.inspect('key'))?.state === 'free')
        proxy.heal()
        await untilSo('there is a record', async () => (await other.inspect('key'))?.state === 'settled')
        const { ageMs = 0, ttlLeftMs = 0 } = (await other.inspect('key')) ?? {}
        expect(ageMs, 'age').to.be.within(100, 10_000)
        expect(60_000 - ttlLeftMs, 'what is over of its time to live').to.be.within(100, 10_000)
      } finally {
        await engine.close()
        for (const store of [cutOff, other]) await store.close()
        await proxy.close()
        await reachable.stop()
      }
    })
  }

  it('such a record is for those who waited while the work was done, and not for those who came afterwards', async () => {
    const reachable = await startRedisServer()
    const proxy = await FaultProxy.open(reachable.port)
    const stores = [
      redisStore(proxy.url, { commandTimeoutMs: 100 }),
      redisStore(reachable.url),
      redisStore(reachable.url),
    ]
    const engines = stores.map(store => new LockEngine({ store })) as [LockEngine, LockEngine, LockEngine]
    const [cutOff, waiting, coming] = engines
    const policy = { duplicates: 'replay', leaseMs: 60_000 } as const
    const waiters = async (): Promise<number | undefined> => (await waiting.inspect('key'))?.waiters
    try {
      await connected(cutOff.store)
      const hold = holdOf(await cutOff.enter('key', policy))
      const waited = waiting.enter('key', policy)
      await untilSo('one waits', async () => (await waiters()) === 1)
      proxy.refuse()
      await failure(Promise.resolve(hold.settle(Uint8Array.of(1))))
      const came = coming.enter('key', policy)
      await untilSo('both wait', async () => (await waiters()) === 2)
      proxy.heal()
      const entry = await waited
      expect(entry).to.include({ role: 'follower', joined: true })
      expect(entry.role === 'follower' && entry.ageMs).to.be.above(99)
      await holdOf(await came).release()
    } finally {
      await Promise.all(engines.map(engine => engine.close()))
      for (const store of stores) await store.close()
      await proxy.close()
      await reachable.stop()
    }
  })

  it('the record of work that ends while Redis cannot save, and so takes no writes, is stored once it takes them', async () => {
    const unsaved = await startRedisServer()
    const other = redisStore(unsaved.url)
    const engine = new LockEngine({ store: other })
    const ask = (...args: [string, ...string[]]): Promise<unknown> => askServer(unsaved.port, ...args)
    try {
      const hold = holdOf(await engine.enter('key', { duplicates: 'replay', ttlMs: 60_000 }))
      const [, directory] = (await ask('CONFIG', 'GET', 'dir')) as string[]
      await rm(String(directory), { recursive: true })
      await ask('CONFIG', 'SET', 'save', '3600 1')
      await ask('BGSAVE').catch(() => {})
      await untilSo('saving has failed', async () => /bgsave_status:err/.test(String(await ask('INFO', 'persistence'))))
      const error = await failure(Promise.resolve(hold.settle(Uint8Array.of(1))))
      expect(error.message).to.include('MISCONF')
      await ask('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'no')
      await untilSo('there is a record', async () => (await other.inspect('key'))?.state === 'settled')
    } finally {
      await engine.close()
      await other.close()
      await unsaved.stop()
    }
  })

  it('a process that has yet to store a record ends when it wants to', async () => {
    const ending = await startRedisServer()
    try {
      const code = `
        import { LockEngine } from '@dspinlock/core'
        import { redisStore } from '@dspinlock/redis'
        import { Redis } from 'ioredis'
        const engine = new LockEngine({ store: redisStore('${ending.url}', { commandTimeoutMs: 100 }) })
        // On a busy machine, connecting takes longer than that.
        while (await engine.inspect('key').catch(() => true));
        const { hold } = await engine.enter('key', { duplicates: 'replay', ttlMs: 60_000 })
        const admin = new Redis('${ending.url}', { retryStrategy: null })
        await admin.shutdown('NOSAVE').catch(() => {})
        await hold.settle(Uint8Array.of(1)).catch(({ code }) => console.log(code))
      `
      const args = ['--input-type=module', '--eval', code]
      const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 })
      expect(stdout.trim()).to.equal('ERR_DSPINLOCK_STORE')
    } finally {
      await ending.stop()
    }
  })

  it('a process reports it once, by a warning that needs no listener', async () => {
    const code = `
      import { redisStore } from '@dspinlock/redis'
      const store = redisStore('${redis.url}', { commandTimeoutMs: 500 })
      for (let n = 0; n < 2; n++) await store.inspect('key').catch(() => {})
    `
    const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code])
    expect(
      stderr.match(/\[DSPINLOCK_W_REDIS\] DspinlockWarning: Redis cannot be used: "connect ECONNREFUSED /g),
    ).to.have.length(1)
  })

  for (const [what, client, warning] of [
    ['a client that its owner has closed', 'closed', 'The client is closed: its owner disconnected it'],
    ['a user who may not run scripts', "new Redis({ port, username: 'reader', password: 'x' })", 'NOPERM'],
    ['a cluster that is none, whose owner hears its errors', 'cluster', 'no answer within'],
  ]) {
    it(`so it does where only operations fail: ${what}`, async () => {
      const running = await startRedisServer()
      try {
        await askServer(running.port, 'ACL', 'SETUSER', 'reader', 'on', '>x', '~*', '&*', '+@all', '-@scripting')
        const code = `
          import { redisStore } from '@dspinlock/redis'
          import { Cluster, Redis } from 'ioredis'
          const port = ${running.port}
          const closed = new Redis({ port })
          await closed.quit()
          const cluster = new Cluster([{ port }]).on('error', () => {})
          const store = redisStore(${client}, { commandTimeoutMs: 500 })
          for (let n = 0; n < 2; n++) await store.inspect('key').catch(() => {})
          process.exit()
        `
        const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code])
        expect(stderr.match(/\[DSPINLOCK_W_REDIS\] DspinlockWarning: .*/g)).to.have.length(1)
        expect(stderr).to.include(`Redis cannot be used: "${warning}`)
      } finally {
        await running.stop()
      }
    })
  }

  it('a walk through the keys is refused as any other operation is', async () => {
    const error = await failure(collect(store.list()))
    expect(error.code).to.equal('ERR_DSPINLOCK_STORE')
    expect(error.message).to.match(/the redis store failed in list: /)
  })

  it('the error says why there is no connection, and not which option of ioredis might be set', async () => {
    const error = await failure(Promise.resolve(store.inspect('key')))
    expect(error.message).to.match(
      /^the redis store failed in inspect for the key "key": there is no connection; connecting failed with: connect ECONNREFUSED \S+; check that Redis runs there/,
    )
    const listing = await failure(collect(store.list()))
    expect(listing.message).to.include('ECONNREFUSED').and.not.include('enableOfflineQueue')
  })

  it('so it does where the connection breaks with each command', async () => {
    const breaking = createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', data => {
        if (/EVALSHA/i.test(data.toString())) socket.destroy()
        else for (const _ of data.toString().split(/(?=\*\d+\r\n)/)) socket.write('+OK\r\n')
      })
    })
    await once(breaking.listen(0, '127.0.0.1'), 'listening')
    const { port } = breaking.address() as AddressInfo
    const client = new Redis({ port, enableReadyCheck: false, maxRetriesPerRequest: 0 })
    client.on('error', () => {})
    await once(client, 'ready')
    // There is no time for another try.
    const other = redisStore(client, { commandTimeoutMs: 20 })
    try {
      const error = await failure(Promise.resolve(other.inspect('key')))
      expect(error.message).to.include('there is no connection').and.not.include('maxRetriesPerRequest')
    } finally {
      await other.close()
      client.disconnect()
      breaking.close()
    }
  })

  it('so it does where the client of the application queues commands', async () => {
    const client = new Redis(redis.url)
    client.on('error', () => {})
    const queued = redisStore(client, { commandTimeoutMs: 300 })
    try {
      const error = await failure(Promise.resolve(queued.inspect('key')))
      expect(error.message).to.match(
        /: no answer within commandTimeoutMs \(300\); connecting failed with: connect ECONNREFUSED/,
      )
    } finally {
      await queued.close()
      client.disconnect()
    }
  })

  async function expectClosed(client: RedisConnection): Promise<void> {
    const [closed, replicated] = [0, 1].map(minReplicas =>
      redisStore(client, { commandTimeoutMs: 100, replicasTimeoutMs: 50, minReplicas }),
    ) as [Store, Store]
    try {
      const asking = [
        Promise.resolve(closed.inspect('key')),
        collect(closed.list()),
        new LockEngine({ store: replicated }).enter('key'),
      ]
      for (const error of await Promise.all(asking.map(failure)))
        expect(error.message).to.include(': The client is closed: ')
    } finally {
      await closed.close()
      await replicated.close()
    }
  }

  for (const [what, client] of [
    ['a client', new Redis({ lazyConnect: true })],
    ['a cluster', new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true })],
  ] as const) {
    it(`${what} of the application that was closed: the error says so`, async () => {
      client.disconnect()
      await expectClosed(client)
    })
  }

  describe('a cluster', () => {
    let cluster: RedisCluster
    before(async function () {
      this.timeout(30_000)
      cluster = await sharedCluster()
    })
    const ofNodeRedis = (): RedisClusterType =>
      createCluster({ rootNodes: cluster.nodes.map(({ host, port }) => ({ url: `redis://${host}:${port}` })) })

    it('that was in use and closed: the error says so', async () => {
      const client = new Cluster(cluster.nodes)
      await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(key => client.set(key, '')))
      client.disconnect()
      await untilSo('it has ended', async () => client.nodes().length === 0 && client.status !== 'disconnecting')
      await expectClosed(client)
      const other = ofNodeRedis()
      await other.connect()
      other.destroy()
      await expectClosed(other)
    })

    it('whose client still connects: a walk through its keys waits for it, and does not look empty', async () => {
      const early = new Cluster(cluster.nodes)
      const prefix = 'early'
      await new LockEngine({ store: redisStore(early, { prefix }) }).enter('key')
      for (const client of [new Cluster(cluster.nodes), ofNodeRedis()]) {
        const connected = client instanceof Cluster ? undefined : client.connect()
        const store = redisStore(client, { prefix })
        expect((await collect(store.list())).map(({ key }) => key)).to.deep.equal(['key'])
        await store.close()
        await connected
        await client.quit()
      }
      early.disconnect()
    })
  })

  it('a walk that began while Redis was away goes on when it is back, and so does one that does not wait for the connection', async () => {
    const patient = redisStore(redis.url, { commandTimeoutMs: 10_000 })
    const walk = collect(patient.list())
    await redis.start()
    const other = redisStore(redis.url)
    try {
      expect(await walk).to.deep.equal([])
      expect(await collect(other.list())).to.deep.equal([])
    } finally {
      await Promise.all([patient.close(), other.close()])
    }
  })

  it('a wrong password is reported to the caller, with what to check', async () => {
    const locked = await startRedisServer(['--requirepass', 'right'])
    const other = redisStore(locked.url.replace('//', '//:wrong@'), { commandTimeoutMs: 300 })
    try {
      const error = await failure(Promise.resolve(other.inspect('key')))
      expect(error.message).to.match(
        /there is no connection; connecting failed with: WRONGPASS .+; check user name and password/,
      )
      expect(error.message).to.not.include('check that Redis runs')
    } finally {
      await other.close()
      await locked.stop()
    }
  })

  for (const [version, connect] of [
    [6, (port: number) => new Redis(port)],
    [5, (port: number) => new Redis5(port)],
  ] as const) {
    it(`ioredis ${version} at the port of a web server: the caller is told to check host and port`, async () => {
      const web = createServer(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0)
      await once(web, 'listening')
      const client = connect((web.address() as AddressInfo).port).on('error', () => undefined)
      const other = redisStore(client, { commandTimeoutMs: 300 })
      try {
        const error = await failure(Promise.resolve(other.inspect('key')))
        expect(error.message).to.match(/something other than Redis answers there: check host and port/)
      } finally {
        await other.close()
        client.disconnect()
        web.close()
      }
    })
  }

  it('locks again when Redis is back, without a restart', async () => {
    let answer = await server.ask('/reject?again')
    while (answer.status === 503) answer = await server.ask('/reject?again')
    expect(answer.status).to.equal(200)
    const before = runs
    expect((await server.ask('/reject?again')).body).to.equal(answer.body)
    expect(runs).to.equal(before)
  })
})
