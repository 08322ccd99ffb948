// How a lock is configured, by options and by attributes of a subclass, and what is refused.

import { DSpinlockBase, HashDSpinlock, memoryStore, type SpinlockOptions, type Tunables } from '@dspinlock/core'
import { expect } from 'chai'
import { failure } from '../support/failure.js'

const store = memoryStore()
const make = (options: unknown): HashDSpinlock => new HashDSpinlock('value', options as SpinlockOptions)

describe('spinlock: options', () => {
  after(() => store.close())

  it('have the documented defaults', () => {
    const defaults: Tunables = {
      maxSpinlockTries: 10,
      spinlockSleepMs: 500,
      expireAtMs: 3_600_000,
      maxBlockMs: 1_800_000,
      leaseMs: 10_000,
      keyPrefix: 'dspinlock',
      keySeparator: ',',
    }
    expect(make({ store })).to.include(defaults)
    expect(make({ store }).getExpiry()).to.equal(3_600_000)
    expect(make({ store }).key).to.match(/^dspinlock,[0-9a-f]{64}$/)
    expect(make({ store }).key).to.equal(make({ store }).key)
    expect(make({ store }).tag).not.to.equal(make({ store }).tag)
  })

  it('are set by attributes of a subclass, and options come first', async () => {
    class CustomSpinlock extends HashDSpinlock {
      override spinlockSleepMs = 30
      override maxSpinlockTries = 3
      override keyPrefix = 'custom'
    }
    const lock = new CustomSpinlock('value', { store, maxSpinlockTries: 4 })
    expect(lock.key).to.match(/^custom,/)
    expect([lock.spinlockSleepMs, lock.maxSpinlockTries]).to.deep.equal([30, 4])
    await lock.acquire()
    const error = await failure(new CustomSpinlock('value', { store }).acquire())
    expect(error.message).to.match(/after 3 tries, 30 ms apart/)
    await lock.release()
    const other = new CustomSpinlock('value', { store, keyPrefix: 'other', keySeparator: '::' })
    expect(other.getKey()).to.match(/^other::[0-9a-f]{64}$/)
    await (await other.acquire()).release()
  })

  it('wrong attributes of a subclass are refused when the lock is used', async () => {
    class Wrong extends HashDSpinlock {
      override spinlockSleepMs = -1
    }
    const lock = new Wrong('value', { store })
    expect(() => lock.key).to.throw(TypeError, 'spinlockSleepMs')
    expect(await failure(lock.acquire())).to.be.instanceOf(TypeError)
    expect(lock.state).to.equal(undefined)
  })

  const hooks: readonly [what: string, hook: string, result: unknown][] = [
    ['getUid gives no string', 'getUid', 5],
    ['getUid gives an empty string', 'getUid', ''],
    ['getKey gives no string', 'getKey', undefined],
    ['getTag gives no string', 'getTag', null],
    ['getExpiry gives no number', 'getExpiry', '1h'],
    ['getExpiry gives less than nothing', 'getExpiry', -1],
    ['packRecord gives text', 'packRecord', 'text'],
  ]
  for (const [what, hook, result] of hooks) {
    it(`${what}: an error that names the method`, async () => {
      class Wrong extends HashDSpinlock {
        static {
          Object.defineProperty(this.prototype, hook, { value: () => result })
        }
      }
      const use = async (): Promise<void> => {
        const lock = await new Wrong('hooks', { store }).acquire()
        try {
          await lock.release()
        } finally {
          await lock[Symbol.asyncDispose]()
        }
      }
      const error = await failure(use())
      expect(error).to.be.instanceOf(TypeError)
      expect(error.message).to.include(`${hook}()`)
      await new HashDSpinlock('hooks', { store, maxSpinlockTries: 1 }).run(() => undefined)
    })
  }

  class Client {
    duplicate(): void {}
  }
  const redis = new Client()
  const refused: readonly [what: string, options: unknown, message: RegExp][] = [
    ['no object', 5, /argument of HashDSpinlock/],
    ['an unknown option', { store, maxTries: 3 }, /unknown option "maxTries"/],
    ['no store', { store: 'redis://secret' }, /option store/],
    ['a store without its methods', { store: {} }, /, with open\(\)/],
    [
      'no client',
      { redis: 'redis://u:secret@h' },
      /option redis must be a client of ioredis or node-redis; a URL goes into redisParams: \{ url \}/,
    ],
    ['options in place of a client', { redis: { host: 'h', duplicate: () => undefined } }, /option redis must be/],
    ['a URL for parameters', { redisParams: 'redis://u:secret@h' }, /option redisParams must be .* or \{ url \}/],
    ['store and redis', { store, redis }, /option redis must be left out with store/],
    ['store and redisParams', { store, redisParams: {} }, /option redisParams must be left out with store/],
    ['redis and redisParams', { redis, redisParams: { password: 'secret' } }, /left out with redis/],
    ['fail and cached', { store, failIfKeyExists: true, cachedIfComputed: true }, /cachedIfComputed/],
    ['a flag that is none', { store, failIfKeyExists: 'yes' }, /failIfKeyExists/],
    ['no tries', { store, maxSpinlockTries: 0 }, /maxSpinlockTries/],
    ['half a try', { store, maxSpinlockTries: 1.5 }, /maxSpinlockTries/],
    ['no sleep', { store, spinlockSleepMs: 0 }, /spinlockSleepMs/],
    ['NaN', { store, spinlockSleepMs: Number.NaN }, /spinlockSleepMs/],
    ['a negative expiry', { store, expireAtMs: -1 }, /expireAtMs/],
    ['an infinite expiry', { store, expireAtMs: Number.POSITIVE_INFINITY }, /expireAtMs/],
    ['text for a time', { store, maxBlockMs: '30min' }, /maxBlockMs/],
    ['no lease', { store, leaseMs: 0 }, /leaseMs/],
    ['a lease that the engine refuses', { store, leaseMs: 9 }, /leaseMs must be a whole number, 10 to/],
    ['an empty prefix', { store, keyPrefix: '' }, /keyPrefix/],
    ['an empty separator', { store, keySeparator: '' }, /keySeparator/],
    ['no logger', { store, logger: {} }, /option logger/],
    ['an unknown parameter', { redisParams: { hostname: 'h' } }, /unknown option "hostname"/],
    ['a port beyond all', { redisParams: { port: 70_000 } }, /port/],
    ['two places', { redisParams: { host: 'h', url: 'redis://u:secret@h' } }, /left out/],
    ['a port beside a socket', { redisParams: { path: '/s', port: 1 } }, /port/],
    ['another URL', { redisParams: { url: 'http://u:secret@h' } }, /option url/],
    [
      'a URL with a password that is not escaped',
      { redisParams: { url: 'redis://:secret%@h' } },
      /option url must .+ encodeURIComponent\(\)/,
    ],
    ['no number for a password', { redisParams: { password: 12_345 } }, /option password/],
    ['ssl beside redis://', { redisParams: { url: 'redis://h', ssl: true } }, /ssl/],
    ['tls without ssl', { redisParams: { ssl: false, tls: {} } }, /ssl/],
    ['a database of a cluster', { redisParams: { cluster: [{ host: 'h' }], db: 1 } }, /db/],
    ['a node without a host', { redisParams: { cluster: [{ port: 1 }] } }, /cluster\[0\].host/],
    ['a name without Sentinels', { redisParams: { sentinelName: 'm' } }, /sentinelName/],
    ['a password twice', { redisParams: { url: 'redis://:secret@h', password: 'secret' } }, /password/],
  ]
  for (const [what, options, message] of refused) {
    it(`${what}: refused when the lock is made, without a password in the message`, () => {
      expect(() => make(options))
        .to.throw(TypeError, message)
        .with.property('message')
        .that.does.not.match(/secret|12.?345/)
    })
  }

  it('combinations that make no sense are refused at the latest when the lock is used', async () => {
    expect(await failure(make({ store, maxSpinlockTries: 1e9, spinlockSleepMs: 1e6 }).acquire())).to.be.instanceOf(
      TypeError,
    )
    expect(() => make({ store, keyPrefix: 'a,b' }).key).to.throw(TypeError, 'keySeparator')
    expect(await failure(make({ store }).acquire({ signal: 5 } as never))).to.be.instanceOf(TypeError)
    expect(await failure(make({ store }).run('task' as never))).to.be.instanceOf(TypeError)
    expect(await failure(make({ store }).deleteState({ forced: true } as never))).to.be.instanceOf(TypeError)
  })

  it('a separator may be anything: keys are never taken apart', async () => {
    for (const keySeparator of ['-', '::', '{', '%', '\n', '"', '💥', '\0', 'e']) {
      const lock = new HashDSpinlock('separated', { store, keySeparator, keyPrefix: 'pr', cachedIfComputed: true })
      expect(await lock.run(() => ({ keySeparator }))).to.deep.equal({ keySeparator })
      const again = new HashDSpinlock('separated', { store, keySeparator, keyPrefix: 'pr', cachedIfComputed: true })
      expect(await again.run(() => 'never')).to.deep.equal({ keySeparator })
    }
  })

  it('the value is hashed when the lock is made: changing it later changes nothing', () => {
    const value = { page: 1 }
    const lock = new HashDSpinlock(value, { store })
    value.page = 2
    expect(lock.key).to.equal(new HashDSpinlock({ page: 1 }, { store }).key)
  })

  it('DSpinlockBase is abstract for the compiler, and HashDSpinlock is one', () => {
    expect(make({ store })).to.be.instanceOf(DSpinlockBase)
  })
})
