// How many commands a request costs, as Redis counts them.

import { dspinlock, type LockEngine } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { type RedisServer, startRedisServer } from 'dspinlock-local-redis'
import express from 'express'
import { Redis } from 'ioredis'
import { Gate, serve, type TestServer, until } from '../support/http.js'

describe('commands for each request', () => {
  let redis: RedisServer
  let client: Redis
  const stores: ReturnType<typeof redisStore>[] = []
  const servers: TestServer[] = []
  const engines: LockEngine[] = []
  let runs = 0
  /** The work lasts until this resolves. */
  let gate = new Gate()

  before(async () => {
    redis = await startRedisServer()
    client = new Redis(redis.url)
    for (let n = 0; n < 3; n++) {
      const store = redisStore(redis.url)
      stores.push(store)
      const app = express()
      const guard = dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 })
      engines.push(guard.engine)
      app.get('/:name', guard, (_req, res, next) => {
        runs++
        gate.opened.then(() => res.json({ runs }), next)
      })
      servers.push(await serve(app))
    }
    gate.open()
    // The first call of each script on a new server is sent twice, by digest and in full.
    await servers[0]?.ask('/warm')
    await Promise.all(servers.map(server => server.ask('/warmer', { headers: { host: 'h' } })))
  })
  after(async () => {
    for (const server of servers) await server.stop()
    for (const store of stores) await store.close()
    client.disconnect()
    await redis.stop()
  })

  /** The number of script calls by clients, and of messages published by scripts. */
  const count = async (work: () => Promise<unknown>): Promise<{ scripts: number; messages: number }> => {
    await client.config('RESETSTAT')
    await work()
    const stats = await client.info('commandstats')
    const callsOf = (name: string): number => Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
    return { scripts: callsOf('evalsha') + callsOf('eval'), messages: callsOf('publish') }
  }

  it('2 for a first request, 1 for a replay, none published when nobody waits', async () => {
    expect(await count(() => servers[0]?.ask('/one') ?? Promise.resolve())).to.deep.equal({ scripts: 2, messages: 0 })
    expect(await count(() => servers[0]?.ask('/one') ?? Promise.resolve())).to.deep.equal({ scripts: 1, messages: 0 })
  })

  it('no more than 12 for 200 duplicates over 3 processes, of which one runs', async () => {
    runs = 0
    gate = new Gate()
    const headers = { host: 'h' }
    const cost = await count(async () => {
      const asked = Array.from({ length: 200 }, (_, n) => (servers[n % 3] as TestServer).ask('/burst', { headers }))
      await until(() => engines.reduce((sum, { waiters }) => sum + waiters, 0) === 199, 'all but one wait')
      gate.open()
      await Promise.all(asked)
    })
    expect(runs).to.equal(1)
    expect(cost.scripts + cost.messages).to.be.at.most(12)
  })
})
