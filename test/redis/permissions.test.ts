// A Redis user that may not do everything the scripts do: the error says which command was refused, and what to give.

import { randomUUID } from 'node:crypto'
import { channels, LockEngine, type TroubleEvent } from '@dspinlock/core'
import { glideConnection, redisStore } from '@dspinlock/redis'
import { GlideClient, Logger } from '@valkey/valkey-glide'
import { expect } from 'chai'
import { Redis } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { redisUrl } from '../support/redis.js'
import { untilSo } from '../support/redis-admin.js'

/** Resolves when `times` refusals were reported. */
function untilRefused(times: number): Promise<void> {
  let told = 0
  return new Promise(resolve => {
    const listener = (event: unknown): void => {
      if (!String((event as TroubleEvent).error).includes('NOPERM') || ++told < times) return
      channels.trouble.unsubscribe(listener)
      resolve()
    }
    channels.trouble.subscribe(listener)
  })
}

// GLIDE writes each refusal to standard error, again and again.
Logger.setLoggerConfig('off')

describe('a Redis user who may not', () => {
  let admin: Redis
  const user = `u${randomUUID()}`

  before(() => {
    admin = new Redis(redisUrl())
  })
  after(async () => {
    await admin.call('ACL', 'DELUSER', user)
    admin.disconnect()
  })

  for (const [what, rules] of [
    ['call scripts', ['~*', '&*', '+@all', '-eval', '-evalsha']],
    ['use a command inside of them', ['~*', '&*', '+@all', '-set']],
    // A state that cannot be read is not one of another program, which would be replaced, with the hold in it.
    ['read what the scripts wrote', ['~*', '&*', '+@all', '-get']],
    ['touch these keys', ['~other:*', '&*', '+@all']],
  ] as const) {
    it(what, async () => {
      await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', ...rules)
      const url = new URL(redisUrl())
      url.username = user
      url.password = 'pw'
      const store = redisStore(url.href, { prefix: `test-${randomUUID()}` })
      const engine = new LockEngine({ store })
      const { message } = await failure(engine.enter('k'))
      await engine.close()
      await store.close()
      expect(message).to.include('failed in claim').and.include('give the Redis user +eval +evalsha')
    })
  }

  for (const [what, rules, released] of [
    ['send messages', ['~*', '&*', '+@all', '-publish'], 'failed in release'],
    // Nobody can listen then, so there is nobody to send a message to.
    ['use these channels', ['~*', 'resetchannels', '+@all'], 'true'],
  ] as const) {
    it(`${what}: what was done is not done again, and the key goes on`, async () => {
      await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', ...rules)
      const url = new URL(redisUrl())
      url.username = user
      url.password = 'pw'
      const prefix = `test-${randomUUID()}`
      const stores = [redisStore(url.href, { prefix }), redisStore(url.href, { prefix })]
      const [engine, other] = stores.map(store => new LockEngine({ store, pollMs: 50 })) as [LockEngine, LockEngine]
      const replay = { duplicates: 'replay', leaseMs: 60_000 } as const
      const untilOneWaits = (key: string): Promise<void> =>
        untilSo('it waits', async () => (await engine.inspect(key))?.waiters === 1)

      const paying = holdOf(await engine.enter('paid', replay))
      const waiting = other.enter('paid', replay)
      await untilOneWaits('paid')
      const { message } = await failure(Promise.resolve(paying.settle(Buffer.from('receipt'))))
      expect(message).to.match(/failed in settle .*: (?!ERR ERR).*give the Redis user \+eval \+evalsha \+publish/)
      const entry = await waiting
      expect(entry.role === 'follower' && String(Buffer.from(entry.record))).to.equal('receipt')

      const hold = holdOf(await engine.enter('next', { leaseMs: 60_000 }))
      const next = other.enter('next', { leaseMs: 60_000 })
      await untilOneWaits('next')
      expect(await Promise.resolve(hold.release()).catch(String)).to.satisfy((how: unknown) =>
        String(how).includes(released),
      )
      await holdOf(await next).release()
      await Promise.all([engine.close(), other.close()])
      for (const store of stores) await store.close()
    })
  }

  for (const [what, rules, password, told] of [
    ['listen', ['-subscribe'], 'pw', /GLIDE could not listen in time .*the Redis user lacks \+subscribe/],
    [
      'connect',
      [],
      'old',
      /^WRONGPASS invalid username-password pair .*; check user name and password of the connection$/,
    ],
  ] as const) {
    it(`${what}, with GLIDE: is told why in one line`, async () => {
      await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', '~*', '&*', '+@all', ...rules)
      const { hostname, port } = new URL(redisUrl())
      const connection = glideConnection(GlideClient, {
        addresses: [{ host: hostname, port: Number(port) }],
        credentials: { username: user, password },
        advancedConfiguration: { connectionTimeout: 500 },
      })
      const refused = new Promise<string>(resolve => {
        const listener = (event: unknown): void => {
          const { operation, error } = event as TroubleEvent
          if (operation !== 'connect') return
          channels.trouble.unsubscribe(listener)
          resolve((error as Error).message)
        }
        channels.trouble.subscribe(listener)
      })
      const store = redisStore(connection)
      expect(await refused).to.match(told)
      await store.close()
    })
  }

  it('listen at first, and then may, is woken without connecting again', async () => {
    await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', '~*', '+@all')
    const url = new URL(redisUrl())
    url.username = user
    url.password = 'pw'
    const prefix = `test-${randomUUID()}`
    const stores = [redisStore(url.href, { prefix }), redisStore(redisUrl(), { prefix })]
    const [engine, other] = stores.map(store => new LockEngine({ store, pollMs: 60_000 })) as [LockEngine, LockEngine]
    await untilRefused(1)
    await admin.call('ACL', 'SETUSER', user, '&*')
    await untilSo('both listen', async () => (await admin.pubsub('CHANNELS', `${prefix}:wake:*`)).length === 2)
    const hold = holdOf(await other.enter('k', { leaseMs: 60_000 }))
    const next = engine.enter('k', { waitMs: 10_000 })
    await untilSo('it waits', async () => (await other.inspect('k'))?.waiters === 1)
    await hold.release()
    await holdOf(await next).release()
    await Promise.all([engine.close(), other.close()])
    for (const store of stores) await store.close()
  })

  it('listen, is not refused at once where a connection is lost', async () => {
    await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', '~*', '&*', '+@all', '-subscribe')
    const url = new URL(redisUrl())
    url.username = user
    url.password = 'pw'
    const store = redisStore(url.href, { prefix: `test-${randomUUID()}`, commandTimeoutMs: 1_000 })
    const engine = new LockEngine({ store })
    await untilRefused(3)
    await admin.call('CLIENT', 'KILL', 'USER', user)
    await holdOf(await engine.enter('k')).release()
    await engine.close()
    await store.close()
  })

  it('listen, asks once a second, however often it had to connect again', async () => {
    await admin.call('ACL', 'SETUSER', user, 'reset', 'on', '>pw', '~*', '&*', '+@all', '-subscribe')
    const url = new URL(redisUrl())
    url.username = user
    url.password = 'pw'
    const countRefused = async (): Promise<number> =>
      Number(/cmdstat_subscribe:.*rejected_calls=(\d+)/.exec(await admin.info('commandstats'))?.[1] ?? 0)
    const untilMore = async (times: number): Promise<void> => {
      const before = await countRefused()
      await untilSo('it is refused again', async () => (await countRefused()) >= before + times)
    }
    const first = untilMore(1)
    const store = redisStore(url.href)
    await first
    for (let n = 0; n < 4; n++) {
      await admin.call('CLIENT', 'KILL', 'USER', user)
      await untilMore(1)
    }
    const startedAt = performance.now()
    await untilMore(3)
    expect(performance.now() - startedAt).to.be.above(1_500)
    await store.close()
  })
})
