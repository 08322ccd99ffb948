// What a request contains stays between client and handler: it is not in logs, errors, traces, metrics, Redis or our own answers.

import { createHash, randomUUID } from 'node:crypto'
import { tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { channels, LockEngine, memoryStore, tracing } from '@dspinlock/core'
import { attachLogger, attachStructuredLogger, type DspinlockOptions, dspinlock } from '@dspinlock/express'
import { requestTracing } from '@dspinlock/http'
import { dspinlockMetrics } from '@dspinlock/prometheus'
import { createRedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { Redis } from 'ioredis'
import { Registry } from 'prom-client'
import { holdOf, storeWith } from '../support/engine.js'
import { failure } from '../support/failure.js'
import { type Ask, serve } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

const marks = ['Path', 'Query', 'Auth', 'Cookie', 'Body', 'Key', 'Vary', 'Custom', 'Host'].map(of => `canary${of}`)
const answered = ['canaryAnswer', 'canaryHeader', 'canarySetCookie']

/** Runs, replays, refusals, mismatches, malformed keys and failures, all with secrets in every place. */
async function makeTraffic(options: DspinlockOptions): Promise<string[]> {
  const broken = storeWith({ claim: () => Promise.reject(new Error('no such store')) })
  const app = express()
  app.post('/parsed', express.json(), (req, _res, next) => {
    ;(req.body as Record<string, unknown>)['self'] = req.body
    next()
  })
  const answer = (_req: unknown, res: express.Response): void => {
    res.set('X-Secret', 'canaryHeader').cookie('sid', 'canarySetCookie').vary('X-Varied').send('canaryAnswer')
  }
  const replay = { ...options, duplicates: 'replay', ttlMs: 60_000 } as const
  app.post('/plain/:path', dspinlock(replay), answer)
  app.post('/parsed', dspinlock(replay), answer)
  app.post('/idem', dspinlock({ ...options, idempotencyKey: { required: true, maxLength: 20 } }), answer)
  app.post('/key', dspinlock({ ...replay, key: () => 'canaryCustom', identity: req => req.get('cookie') }), answer)
  const { store: _, ...rest } = options
  app.post('/broken', dspinlock({ ...rest, store: broken }), answer)
  app.post('/bypassed', dspinlock({ ...rest, store: broken, onStoreError: 'bypass' }), answer)
  const server = await serve(app)
  const ask = (more: Record<string, string> = {}, body = '{"secret":"canaryBody"}'): Ask => ({
    method: 'POST',
    headers: {
      host: 'canaryHost',
      authorization: 'Bearer canaryAuth',
      cookie: 'sid=canaryCookie',
      'x-varied': 'canaryVary',
      'content-type': 'application/json',
      ...more,
    },
    body,
  })
  const answers: string[] = []
  const send = async (path: string, asked: Ask): Promise<void> => {
    const { status, headers, body } = await server.ask(path, asked)
    // What the handler itself sends does not count.
    if (headers['x-secret'] === undefined) answers.push(JSON.stringify([status, headers, body]))
  }
  for (let n = 0; n < 2; n++) {
    await send('/plain/canaryPath?q=canaryQuery', ask())
    await send('/plain/canaryPath?q=canaryQuery', ask({ 'x-varied': `canaryVary${n}` }))
    await send('/parsed', ask())
    await send('/idem', ask({ 'idempotency-key': 'canaryKey' }))
    await send('/idem', ask({ 'idempotency-key': 'canaryKey' }, '"canaryBody2"'))
    await send('/idem', ask({ 'idempotency-key': `canaryKey${'x'.repeat(30)}` }))
    await send('/idem', ask())
    await send('/key', ask())
    await send('/broken', ask())
    await send('/bypassed', ask())
  }
  await server.stop()
  return answers
}

/** As `inspect` shows the bytes of a text. */
const hexOf = (text: string): string =>
  Buffer.from(text)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')

describe('secrets', () => {
  const prefix = `secrets-${randomUUID()}`
  const heard: string[] = []
  let stored: Buffer = Buffer.alloc(0)
  let names: string[] = []
  let answers: string[] = []
  let redis: Redis

  const readAll = async (): Promise<Buffer> => {
    names = await redis.keys(`${prefix}*`)
    const values: Buffer[] = []
    for (const name of names) {
      const type = await redis.type(name)
      if (type === 'zset') values.push(Buffer.from((await redis.zrange(name, '0', '-1')).join()))
      else if (type === 'string') values.push((await redis.getBuffer(name)) ?? Buffer.alloc(0))
    }
    return Buffer.concat(values)
  }

  before(async () => {
    redis = new Redis(redisUrl())
    const store = redisStore(redisUrl(), { prefix })
    const register = new Registry()
    const stopMetrics = dspinlockMetrics(register)
    const note = (...said: unknown[]): void => void heard.push(inspect(said, { depth: 10, maxStringLength: null }))
    const stops = [
      attachLogger({ debug: note, warn: note }),
      attachStructuredLogger({ debug: note, info: note, warn: note }),
    ]
    process.on('warning', note)
    const hear = (message: unknown): void => note(message)
    const all = [
      ...Object.values(channels),
      ...[...Object.values(tracing), ...Object.values(requestTracing)].flatMap(channel => [
        channel.start,
        channel.end,
        channel.asyncEnd,
        channel.error,
      ]),
    ] as ReturnType<typeof tracingChannel>['start'][]
    for (const channel of all) channel.subscribe(hear)
    answers = await makeTraffic({ store })
    heard.push(await register.metrics())
    for (const channel of all) channel.unsubscribe(hear)
    for (const stop of stops) stop()
    stopMetrics()
    process.removeListener('warning', note)
    stored = await readAll()
    await store.close()
  })
  after(async () => {
    for (const name of await redis.keys(`${prefix}*`)) await redis.del(name)
    await redis.quit()
  })

  const found = (text: string | Buffer, among: readonly string[]): string[] =>
    among.filter(mark =>
      (typeof text === 'string' ? text : text.toString('latin1')).toLowerCase().includes(mark.toLowerCase()),
    )

  it('are in no log line, trace, metric or warning', () => {
    const all = heard.join('\n')
    expect(all).to.contain('dspinlock:enter').and.contain('dspinlock_requests_total')
    expect(found(all, [...marks, ...answered])).to.deep.equal([])
  })

  it('are in no answer of ours', () => {
    expect(answers.length).to.be.above(6)
    expect(found(answers.join('\n'), [...marks, ...answered])).to.deep.equal([])
  })

  it('of requests are not in Redis, neither in names nor in values; of responses only what is replayed', () => {
    expect(names.length).to.be.above(3)
    expect(found(names.join('\n'), [...marks, ...answered])).to.deep.equal([])
    expect(found(stored, marks)).to.deep.equal([])
    expect(found(stored, answered)).to.deep.equal(['canaryAnswer', 'canaryHeader'])
  })

  it('without `secret`, who knows the rest can try a value; with it, nothing in Redis can be computed', async () => {
    const digest = createHash('sha256').update('canaryVary').digest('base64url')
    expect(stored.includes(digest)).to.equal(true)
    for (const name of names) await redis.del(name)
    const store = redisStore(redisUrl(), { prefix })
    await makeTraffic({ store, secret: 'a secret of this test, long enough' })
    await store.close()
    const kept = await readAll()
    expect(found(kept, answered)).to.deep.equal(['canaryAnswer', 'canaryHeader'])
    expect(kept.includes(digest)).to.equal(false)
  })

  it('of responses are not in Redis if records are encrypted', async () => {
    for (const name of names) await redis.del(name)
    const store = redisStore(redisUrl(), { prefix })
    await makeTraffic({ store, secret: 'a secret of this test, long enough', encryptionKeys: [Buffer.alloc(32, 5)] })
    await store.close()
    const kept = await readAll()
    expect(kept.length).to.be.above(200)
    expect(found(kept, [...marks, ...answered])).to.deep.equal([])
  })

  it('a name in a parsed body is not shown where it may be anything, and begins no line of a log', async () => {
    const app = express()
    app.post('/', express.json(), dspinlock(), (_req, res) => void res.send('done'))
    const server = await serve(app)
    const lines: string[] = []
    const stop = attachLogger({ debug: line => lines.push(line) })
    const name = `canaryBody\\n2026-01-01 WARN ${'x'.repeat(300)}`
    const body = `{"${name}":`.repeat(201) + '1' + '}'.repeat(201)
    await server.ask('/', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    stop()
    const told = lines.find(line => line.includes('200 levels')) ?? ''
    expect(told).to.match(/ at body[.*]+$/)
    expect(told.length).to.be.below(1_000)
    await server.stop()
  })

  it('a URL of Redis in the wrong place is told without its password', async () => {
    const url = 'redis://user:canaryKey@localhost:1'
    for (const wrong of [{ store: url }, { engine: url }, { duplicates: url }]) {
      expect(() => dspinlock(wrong as unknown as DspinlockOptions)).to.throw(TypeError, /^(?!.*canaryKey).*localhost:1/)
    }
    expect(() => dspinlock(url as DspinlockOptions)).to.throw(TypeError, /^(?!.*canaryKey)/)
    for (const wrong of [{ host: url }, { path: url }, { cluster: [{ host: url }] }]) {
      const error: unknown = await createRedisConnection({ ...wrong, connectTimeoutMs: 100 }).catch(
        (told: unknown) => told,
      )
      expect(error).to.be.instanceOf(TypeError)
      expect(inspect(error)).to.not.contain('canaryKey')
    }
  })

  it('a password that Redis refuses, and a record that it refuses, are in no error and no log of it', async () => {
    const said: string[] = []
    const note = (...what: unknown[]): void => void said.push(inspect(what, { depth: 10, maxStringLength: null }))
    const stop = attachStructuredLogger({ debug: note })
    const writer = { username: `writer-${randomUUID()}`, password: 'canaryPassword' }
    await redis.call('ACL', 'SETUSER', writer.username, 'on', `>${writer.password}`, '~*', '&*', '+@all')
    const url = new URL(redisUrl())
    const place = { host: url.hostname, port: Number(url.port) }
    const store = redisStore({ ...place, ...writer }, { prefix })
    const engine = new LockEngine({ store })
    const hold = holdOf(await engine.enter('secret record', { duplicates: 'replay', ttlMs: 1_000 }))
    await redis.call('ACL', 'SETUSER', writer.username, '-@scripting')
    note(await failure(Promise.resolve(hold.settle(Buffer.from('canaryRecord')))))
    await redis.call('ACL', 'DELUSER', writer.username)
    await engine.close({ timeoutMs: 0 })
    await store.close()
    const refused = new LockEngine({ store: redisStore({ ...place, ...writer }, { prefix, commandTimeoutMs: 300 }) })
    note(await failure(refused.enter('another')))
    await refused.close()
    await refused.store.close()
    note(await failure(createRedisConnection({ ...place, ...writer, connectTimeoutMs: 300 })))
    stop()
    expect(said.join()).to.match(/NOPERM[^]*WRONGPASS/)
    expect(found(said.join(), ['canaryPassword', 'canaryRecord', hexOf('canaryRecord')])).to.deep.equal([])
  })

  it('a wrong `secret` is not shown', () => {
    expect(() => dspinlock({ secret: 'canaryKey', store: memoryStore() })).to.throw(
      TypeError,
      /^(?!.*canaryKey).*not shown/,
    )
  })
})
