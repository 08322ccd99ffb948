// A Redis that accepts connections and never answers: every request is still answered in time, and nothing hangs.

import { EventEmitter } from 'node:events'
import { dspinlock } from '@dspinlock/express'
import { type RedisConnection, redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { atOnce } from '../support/at-once.js'
import { FaultProxy } from '../support/fault-proxy.js'
import { Gate, serve, type TestServer, until } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { untilSo } from '../support/redis-admin.js'

const COMMAND_TIMEOUT_MS = 200
/** Time allowed for everything else that a busy machine does meanwhile. */
const SLACK_MS = 1_500

async function timed<T>(work: Promise<T>): Promise<[T, number]> {
  const startedAt = performance.now()
  return [await work, performance.now() - startedAt]
}

for (const [when, isConnected] of [
  ['before it is connected to', false],
  ['after it was connected to', true],
] as const) {
  describe(`a Redis that does not answer, ${when}`, () => {
    let proxy: FaultProxy
    let store: ReturnType<typeof redisStore>
    let server: TestServer
    let guards: ReturnType<typeof dspinlock>[]
    let gate: Gate
    let runs = 0

    before(async () => {
      proxy = await FaultProxy.open(Number(new URL(redisUrl()).port))
      const prefix = `black-hole-${process.pid}-${isConnected}`
      if (!isConnected) proxy.blackHole()
      store = redisStore(proxy.url, { commandTimeoutMs: COMMAND_TIMEOUT_MS, prefix })
      guards = []
      const app = express()
      for (const onStoreError of ['reject', 'bypass', 'local'] as const) {
        const guard = dspinlock({ store, onStoreError, duplicates: 'replay', ttlMs: 60_000, settleTimeoutMs: 200 })
        guards.push(guard)
        app.get(`/${onStoreError}`, guard, (req, res, next) => {
          runs++
          gate.opened.then(() => res.json({ role: req.dspinlock?.role, runs }), next)
        })
      }
      server = await serve(app)
      if (!isConnected) return
      gate = new Gate()
      gate.open()
      expect((await server.ask('/reject?up')).status).to.equal(200)
    })
    beforeEach(() => {
      runs = 0
      gate = new Gate()
    })
    after(async () => {
      await server.stop()
      await proxy.close()
    })

    if (isConnected) {
      it('a holder ends as usual, and those that wait for it are answered', async () => {
        const holder = server.ask('/reject?work')
        await until(() => runs === 1, 'it runs')
        const waiting = server.ask('/reject?work')
        await until(() => guards[0]?.engine.waiters === 1, 'one waits')
        proxy.blackHole()
        gate.open()
        const [answers, ms] = await timed(Promise.all([holder, waiting]))
        expect(answers.map(answer => answer.status)).to.deep.equal([200, 200])
        expect(answers[1]?.body).to.equal(answers[0]?.body)
        expect(runs).to.equal(1)
        expect(ms).to.be.below(2 * COMMAND_TIMEOUT_MS + SLACK_MS)
      })
    }

    it("'reject' answers 503 with Retry-After within commandTimeoutMs, however many ask", async () => {
      const [answers, ms] = await timed(
        Promise.all(Array.from({ length: 20 }, (_, n) => server.ask(`/reject?${n % 2}`))),
      )
      expect(new Set(answers.map(answer => answer.status))).to.deep.equal(new Set([503]))
      expect(answers[0]?.headers).to.include({ 'content-type': 'application/problem+json', 'retry-after': '1' })
      expect(runs).to.equal(0)
      expect(ms).to.be.below(COMMAND_TIMEOUT_MS + SLACK_MS)
    })

    it("'bypass' runs each unguarded", async () => {
      gate.open()
      const [answers, ms] = await timed(Promise.all([server.ask('/bypass'), server.ask('/bypass')]))
      expect(answers.map(answer => answer.status)).to.deep.equal([200, 200])
      expect(runs).to.equal(2)
      expect(JSON.parse(answers[0]?.body ?? '')).to.include({ role: 'bypassed' })
      expect(ms).to.be.below(COMMAND_TIMEOUT_MS + SLACK_MS)
    })

    it("'local' keeps excluding inside the process", async () => {
      const asked = Promise.all([server.ask('/local'), server.ask('/local')])
      await until(() => runs > 0, 'one runs')
      gate.open()
      expect((await asked).map(answer => answer.status)).to.deep.equal([200, 200])
      expect(runs).to.equal(1)
    })

    it('locks again when it answers again, without a restart', async () => {
      proxy.heal()
      gate.open()
      let answer = await server.ask('/reject?again')
      for (let n = 0; n < 50 && answer.status !== 200; n++) answer = await server.ask('/reject?again')
      expect(answer.status).to.equal(200)
      const before = runs
      expect((await server.ask('/reject?again')).body).to.equal(answer.body)
      expect(runs).to.equal(before)
    })

    it('closing ends although it does not answer', async () => {
      proxy.blackHole()
      const [, ms] = await timed(Promise.all(guards.map(guard => guard.close())).then(() => store.close()))
      expect(ms).to.be.below(2 * COMMAND_TIMEOUT_MS + SLACK_MS)
      expect((await server.ask('/reject')).status).to.equal(503)
    })
  })
}

describe('a listening connection that is dead without being closed', () => {
  const clients = [
    [
      'ioredis',
      async ({ port }: FaultProxy) => {
        const client = new Redis(redisUrl())
        client.duplicate = override => new Redis({ ...(override as object), host: '127.0.0.1', port })
        return { client: client as RedisConnection, close: () => client.disconnect() }
      },
    ],
    [
      'node-redis',
      async ({ url }: FaultProxy) => {
        const client = createClient({ url: redisUrl() })
        await client.connect()
        client.duplicate = (override => createClient({ url, ...override })) as typeof client.duplicate
        return { client: client as unknown as RedisConnection, close: () => client.destroy() }
      },
    ],
  ] as const
  const cases = clients.flatMap(([what, connect]) => [
    { what: `is made anew (${what})`, connect, isBefore: false },
    { what: `is made anew, also before it listened (${what})`, connect, isBefore: true },
  ])

  const watchIt = async ({ connect, isBefore }: (typeof cases)[number]): Promise<void> => {
    const proxy = await FaultProxy.open(Number(new URL(redisUrl()).port))
    let subscribed = 0
    proxy.onRequest = request => {
      if (!/\r\nsubscribe\r\n/i.test(request.toString('latin1'))) return
      subscribed++
      if (isBefore && subscribed === 1) proxy.mute()
    }
    const { client, close } = await connect(proxy)
    const store = redisStore(client)
    try {
      await untilSo('it listens', async () => subscribed === 1)
      if (!isBefore) proxy.mute()
      await untilSo('it listens again', async () => subscribed === 2)
    } finally {
      await store.close()
      close()
      await proxy.close()
    }
  }
  /** A sentinel client of node-redis that connects again without a word. */
  const watchSentinels = async (): Promise<void> => {
    const connected: EventEmitter[] = []
    const duplicate = (): EventEmitter =>
      Object.assign(new EventEmitter(), {
        isOpen: true,
        connect: async () => {},
        async subscribe(this: EventEmitter) {
          connected.push(this)
        },
        destroy: async () => {},
      })
    const client = { isOpen: true, getSentinelNode: () => {}, on: () => {}, sendCommand: async () => '', duplicate }
    const store = redisStore(client as unknown as RedisConnection)
    try {
      await until(() => connected.length === 1, 'it listens')
      connected[0]?.emit('error', new Error('Socket closed unexpectedly'))
      await untilSo('it listens anew', async () => connected.length === 2)
    } finally {
      await store.close()
    }
  }
  // Silence takes seconds to be one.
  const outcomeOf = atOnce([...cases.map(one => () => watchIt(one)), watchSentinels])

  const whats = [
    ...cases.map(({ what }) => what),
    'is made anew where a sentinel client of node-redis does not tell that it is back',
  ]
  for (const [n, what] of whats.entries()) {
    it(what, async function () {
      this.timeout(40_000)
      await outcomeOf(n)
    })
  }
})
