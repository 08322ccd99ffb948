// A record that another program wrote into Redis is a miss: it reaches no client, breaks no request, and makes nothing run twice at once.

import { createHash, randomUUID } from 'node:crypto'
import { memoryStore } from '@dspinlock/core'
import { type DspinlockOptions, dspinlock } from '@dspinlock/express'
import { encodeRecord, tombstone } from '@dspinlock/http/support'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { Redis } from 'ioredis'
import { holdOf } from '../support/engine.js'
import { json, serve, type TestServer, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { readRecord, writeRecord } from '../support/redis-state.js'

const response = {
  status: 200,
  message: 'OK',
  removed: [],
  vary: [],
  body: Buffer.from('forged'),
  form: 'bytes',
} as const
const key = (fill: number): Buffer => Buffer.alloc(32, fill)

describe('foreign records in Redis', () => {
  const prefix = `foreign-${randomUUID()}`
  let redis: Redis
  let runs = 0
  let atOnce = 0
  let mostAtOnce = 0
  const servers: TestServer[] = []
  const stores: ReturnType<typeof redisStore>[] = []
  before(() => {
    redis = new Redis(redisUrl())
  })
  beforeEach(() => {
    runs = 0
    mostAtOnce = 0
  })
  after(async () => {
    await Promise.all(servers.map(server => server.stop()))
    for (const store of stores) await store.close()
    await redis.quit()
  })

  /** Two servers, as in two processes. */
  const start = async (options: DspinlockOptions = {}): Promise<(path: string) => ReturnType<TestServer['ask']>> => {
    const own = await Promise.all(
      [0, 1].map(async () => {
        const store = redisStore(redisUrl(), { prefix })
        stores.push(store)
        const app = express()
        app.post('/:what', dspinlock({ store, duplicates: 'replay', ttlMs: 60_000, ...options }), (_req, res) => {
          runs++
          mostAtOnce = Math.max(mostAtOnce, ++atOnce)
          setTimeout(() => {
            atOnce--
            res.send('made')
          }, 5)
        })
        return serve(app)
      }),
    )
    servers.push(...own)
    let turn = 0
    return path => (own[turn++ % 2] as TestServer).ask(path, json({}, { host: 'h', authorization: 'a' }))
  }

  /** Replaces the record of the only key there is. */
  const plant = async (record: Buffer | Uint8Array): Promise<string> => {
    const names = (await redis.keys(`${prefix}:*`)).filter(name => name.endsWith('}'))
    expect(names).to.have.length(1)
    const [name = ''] = names
    expect(await readRecord(redis, name)).to.be.instanceOf(Buffer)
    await writeRecord(redis, name, record)
    return name
  }
  afterEach(async () => {
    for (const name of await redis.keys(`${prefix}:*`)) await redis.del(name)
  })

  const withHeader = (...header: [string, string]): Uint8Array => encodeRecord({ ...response, headers: [header] })
  const planted: Readonly<Record<string, Uint8Array>> = {
    nothing: Buffer.alloc(0),
    'bytes of anything': Buffer.from('something else entirely'),
    'JSON that would pollute a prototype': Buffer.from(
      '{"__proto__":{"status":200},"constructor":{"prototype":{"x":1}}}',
    ),
    'half a record': withHeader('x', 'y').subarray(0, 20),
    'a header with a line break': withHeader('x', 'a\r\nSet-Cookie: sid=evil'),
    'a header name with a line break': withHeader('x\r\nSet-Cookie', 'sid=evil'),
    'a reason phrase with a line break': encodeRecord({
      ...response,
      headers: [],
      message: 'OK\r\nSet-Cookie: sid=evil',
    }),
    'a status that is none': encodeRecord({ ...response, headers: [], status: 99 }),
    'a field of one transfer, at which Node throws,': withHeader('Trailer', 'X-End'),
    'a second length, by chunks,': withHeader('Transfer-Encoding', 'chunked'),
    'a cookie': withHeader('Set-Cookie', 'sid=evil'),
    'a longer tombstone': Buffer.concat([tombstone, Buffer.from('x')]),
  }
  for (const [what, bytes] of Object.entries(planted)) {
    it(`${what} is a miss: one of many duplicates runs, and the others get its response`, async () => {
      const ask = await start()
      await ask('/pay')
      await plant(bytes)
      const answers = await Promise.all(Array.from({ length: 12 }, () => ask('/pay')))
      expect(answers.map(({ status, body }) => `${status} ${body}`)).to.deep.equal(answers.map(() => '200 made'))
      expect(answers.filter(({ headers }) => headers['set-cookie'] !== undefined)).to.deep.equal([])
      expect([runs, mostAtOnce]).to.deep.equal([2, 1])
      expect(({} as { status?: unknown }).status).to.equal(undefined)
    })
  }

  it('one that varies by what every object has is only a response that varies', async () => {
    const ask = await start()
    await ask('/pay')
    await plant(
      encodeRecord({
        ...response,
        headers: [],
        vary: [
          ['constructor', 'x'],
          ['__proto__', 'y'],
        ],
      }),
    )
    const answer = await ask('/pay')
    expect([answer.status, answer.body]).to.deep.equal([200, 'made'])
  })

  it('encrypted, a record that was changed, moved to another key or never encrypted is a miss', async () => {
    const ask = await start({ encryptionKeys: [key(1)] })
    await ask('/pay')
    const name = await plant(encodeRecord({ ...response, headers: [] }))
    expect((await ask('/pay')).body).to.equal('made')
    const sealed = (await readRecord(redis, name)) as Buffer
    expect(sealed.includes('made')).to.equal(false)
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1
    await writeRecord(redis, name, sealed)
    expect((await ask('/pay')).body).to.equal('made')
    expect(runs).to.equal(3)
    const good = (await readRecord(redis, name)) as Buffer
    await redis.del(name)
    await ask('/refund')
    await plant(good)
    expect((await ask('/refund')).headers['cache-status']).to.equal(undefined)
    expect(runs).to.equal(5)
  })

  it('keys are changed by putting a new one in front; a record under a key that is not there is refused, and nothing runs', async () => {
    const [old, both, other] = [
      await start({ encryptionKeys: [key(1)] }),
      await start({ encryptionKeys: [key(2).toString('base64'), key(1)] }),
      await start({ encryptionKeys: [key(3)] }),
    ]
    await old('/pay')
    expect((await both('/pay')).headers['cache-status']).to.equal('dspinlock; hit')
    const refused = await other('/pay')
    expect([refused.status, refused.headers['retry-after'], runs]).to.deep.equal([503, '1', 1])
    await both('/refund')
    expect((await old('/refund')).status).to.equal(503)
  })

  it('a server without any encryption keys refuses as well what it cannot open, and leaves the record to the others', async () => {
    const [plain, encrypting] = [await start(), await start({ encryptionKeys: [key(1)] })]
    await encrypting('/pay')
    const refused = await plain('/pay')
    expect([refused.status, refused.headers['retry-after'], runs]).to.deep.equal([503, '1', 1])
    expect((await encrypting('/pay')).headers['cache-status']).to.equal('dspinlock; hit')
    // One that waited is sent the record in a message.
    const first = encrypting('/refund')
    await until(() => atOnce === 1, 'it runs')
    const waiter = plain('/refund')
    await first
    expect([(await waiter).status, runs]).to.deep.equal([503, 2])
  })

  it('wrong encryption keys are a TypeError at start that does not show them', () => {
    const [base64, base64url] = [`${'aZ0+/'.repeat(8)}aZ0`, `${'aZ0-_'.repeat(8)}aZ0`] as const
    expect(dspinlock({ encryptionKeys: [base64, `${base64}=`, base64url] })).to.be.a('function')
    // A password of 32 letters is no key, and Node passes over what is no base64.
    const texts = ['short', 'x'.repeat(32), `!${base64}`, `${base64}!`]
    const bytes = [Buffer.alloc(31, 7), createHash('md5').digest()]
    for (const keys of [[], 'not a list', ...[...texts, ...bytes].map(one => [key(1), one])]) {
      expect(() => dspinlock({ encryptionKeys: keys } as object)).to.throw(
        TypeError,
        /encryptionKeys must be .* not shown/,
      )
    }
  })

  it('a store that fails while one is looked into: its request is answered all the same', async () => {
    const inner = memoryStore()
    const failing = new Set<PropertyKey>()
    const store = new Proxy(inner, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          if (failing.delete(name)) throw new Error('away')
          return Reflect.apply(value as (...given: unknown[]) => unknown, target, args)
        }
      },
    })
    const guard = dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 })
    const app = express()
    app.post('/', guard, (_req, res) => void res.send(`run ${++runs}`))
    const server = await serve(app)
    servers.push(server)
    const ask = () => server.ask('/', json({}))
    expect((await ask()).body).to.equal('run 1')
    for await (const { key: name, fence } of inner.list()) {
      await guard.engine.forget(name, fence)
      const hold = holdOf(await guard.engine.enter(name, { duplicates: 'replay', ttlMs: 60_000 }))
      await hold.settle(Buffer.from('malformed'))
    }
    for (const name of ['inspect', 'forget']) failing.add(name)
    expect((await ask()).body).to.equal('run 2')
    expect(failing.size).to.equal(0)
  })
})
