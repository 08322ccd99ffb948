// The table of options says what the types say.

import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { LockEngine, memoryStore, Policy } from '@dspinlock/core'
import { guard } from '@dspinlock/http'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { failure } from '../support/failure.js'
import { serve } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { optionsPage, renewOptionsPage } from './options-table.js'
import { top } from './pages.js'

describe('the table of options', () => {
  it('is current; if not: npm run docs:options', () => {
    expect(readFileSync(new URL(optionsPage, top), 'utf8')).to.equal(renewOptionsPage())
  })

  it('tells the default of a middleware where it is another than that of the engine', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    let ofMiddleware = 0
    // A middleware's settings show only in what it asks of its engine.
    engine.enterAtOnce = (_key, { maxHoldMs }) => {
      ofMiddleware = maxHoldMs
      return undefined
    }
    const server = await serve(guard((_req, res) => void res.end(), { engine }))
    await server.ask('/', { method: 'POST' })
    await server.stop()
    const row = renewOptionsPage()
      .split('\n')
      .find(line => line.startsWith('| `maxHoldMs` | middleware'))
    for (const ms of [new Policy().maxHoldMs, ofMiddleware])
      expect(row).to.include(`${ms / 1_000} 000`.replace(/^1800 /, '1 800 '))
  })

  /** The number that the table gives as the default of an option. */
  function defaultOf(name: string, of: string): number {
    const row = renewOptionsPage()
      .split('\n')
      .find(line => line.startsWith(`| \`${name}\` | ${of}`))
    const [, digits] = /Default (\d[\d ]*)/.exec(row ?? '') ?? []
    if (digits === undefined) throw new Error(`the table gives no number for ${name} of ${of}`)
    return Number(digits.replaceAll(' ', ''))
  }

  it('tells the defaults of enter', () => {
    const policy = new Policy()
    for (const name of ['ttlMs', 'leaseMs', 'waitMs', 'maxHoldMs'] as const)
      expect(defaultOf(name, 'middleware'), name).to.equal(policy[name])
  })

  it('tells how many may wait', async () => {
    const engine = new LockEngine({ store: memoryStore() })
    const [most, perKey] = [defaultOf('maxWaiters', '`LockEngine`'), defaultOf('maxWaitersPerKey', '`LockEngine`')]
    const errors: string[] = []
    const wait = (key: string): void => void engine.enter(key).catch((error: Error) => errors.push(error.message))
    for (let waiting = 0, n = 0; waiting < most; n++) {
      await engine.enter(`${n}`)
      for (let of = 0; of < perKey && waiting < most; of++, waiting++) wait(`${n}`)
      if (n === 0) wait('0')
    }
    expect(engine.waiters).to.equal(most)
    await engine.enter('one more')
    wait('one more')
    await new Promise(resolve => setImmediate(resolve))
    expect(errors).to.have.length(2)
    expect(errors[0]).to.match(new RegExp(`^${perKey} callers wait already .*maxWaitersPerKey`))
    expect(errors[1]).to.match(new RegExp(`^${most} callers wait already .*maxWaiters of`))
    await engine.close({ timeoutMs: 0 })
  })

  for (const [of, makeStore] of [
    ['`memoryStore`', () => memoryStore()],
    ['`redisStore`', () => redisStore(redisUrl(), { prefix: `options-${process.pid}` })],
  ] as const) {
    it(`tells for how long ${of} hands a key over`, async () => {
      const grantMs = defaultOf('grantMs', of)
      const store = makeStore()
      const { id } = store.open(() => {})
      const claim = { key: 'k', leaseMs: 10_000, wait: true, takeRecord: false, payload: '', arrival: 0 }
      for (const n of [1, 2]) await store.claim({ ...claim, token: `${id}.${n}` })
      await store.release({ key: 'k', token: `${id}.1`, passMs: 0, maxLocalTurns: 0 })
      expect((await store.inspect('k'))?.leaseLeftMs).to.be.within(grantMs / 2, grantMs)
      await store.leave('k', `${id}.2`)
      await store.close()
    })
  }

  it('tells how long an operation takes at most, where Redis does not answer', async () => {
    const silent = createServer(socket => void socket.resume()).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const store = redisStore(`redis://127.0.0.1:${(silent.address() as AddressInfo).port}`)
    const timeoutMs = defaultOf('commandTimeoutMs', '`redisStore`')
    const startedAt = performance.now()
    const { message } = await failure(new LockEngine({ store }).inspect('k'))
    expect(performance.now() - startedAt).to.be.within(timeoutMs - 300, timeoutMs + 3_000)
    expect(message).to.match(/there is no connection|no answer within commandTimeoutMs/)
    await store.close()
    silent.close()
  })

  it('has every option of the middleware', () => {
    const rows = renewOptionsPage().split('\n')
    for (const name of ['duplicates', 'ttlMs', 'store', 'identity', 'idempotencyKey', 'onStoreError', 'maxBodyBytes']) {
      expect(rows.filter(row => row.startsWith(`| \`${name}\` |`)).length, name).to.be.above(0)
    }
  })
})
