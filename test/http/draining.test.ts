// Shutting down: holders finish and their clients get the answers, newcomers and waiters get 503, and the process ends.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { dspinlock, memoryStore } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import express from 'express'
import { openTopic } from '../support/fidelity-table.js'
import { Gate, send, serve } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { storeKinds } from '../support/stores.js'

const script = fileURLToPath(new URL('./drain-server.js', import.meta.url))

describe('a process that drains', () => {
  const topic = openTopic('Draining', 'draining.test.ts')

  for (const kind of ['memory', 'Redis']) {
    it(`on ${kind}: the holder finishes, waiters and newcomers get 503, nothing is left, and it exits`, async () => {
      const server = fork(script, kind === 'Redis' ? [redisUrl()] : [], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
      let complaints = ''
      server.stderr?.on('data', (chunk: Buffer) => {
        complaints += chunk.toString()
      })
      const exited = once(server, 'exit')
      try {
        const said = async (): Promise<unknown> => ((await once(server, 'message')) as [unknown])[0]
        const port = (await said()) as number
        const ask = () => send(port, '/', { method: 'POST', headers: { host: 'h' } })
        const running = said()
        const holder = ask()
        expect(await running).to.equal('running')
        const waiter = ask()
        const draining = said()
        server.kill('SIGTERM')
        expect(await draining).to.equal('draining')
        const newcomer = await ask()
        for (const refused of [newcomer, await waiter]) {
          expect([refused.status, refused.headers['retry-after']]).to.deep.equal([503, '1'])
          expect(JSON.parse(refused.body)).to.include({ code: 'closing' })
        }
        const drained = said()
        server.send('end')
        expect([(await holder).status, (await holder).body]).to.deep.equal([200, 'done'])
        expect(await drained).to.equal('drained')
        expect(await exited).to.deep.equal([0, null])
        expect(complaints).to.equal('')
      } finally {
        server.kill('SIGKILL')
      }
      if (kind !== 'Redis') return
      const store = redisStore(redisUrl())
      await store.inspect('any')
      for await (const { state } of store.list()) expect(state).to.not.equal('held')
      await store.close()
    })
  }

  for (const [what, given] of [
    ['its own store', () => ({})],
    ['a store that was given', () => ({ store: memoryStore() })],
  ] as const) {
    it(`a middleware with ${what} that is closed once more waits for the holders all the same`, async () => {
      const [running, ended] = [new Gate(), new Gate()]
      const guard = dspinlock(given())
      const app = express().post('/', guard, async (_req, res) => {
        running.open()
        await ended.opened
        res.end('done')
      })
      const server = await serve(app)
      const answer = server.ask('/', { method: 'POST' })
      await running.opened
      let closed = 0
      const closing = [guard.close(), guard.close()].map(close => close.then(() => closed++))
      await nextTurn()
      expect(closed).to.equal(0)
      ended.open()
      await Promise.all(closing)
      expect((await answer).body).to.equal('done')
      await server.stop()
    })
  }

  for (const [name, makeStore] of storeKinds) {
    for (const onStoreError of ['reject', 'bypass', 'local'] as const) {
      it(`whose store on ${name} is closed before its middleware runs nothing without it, with onStoreError: '${onStoreError}', either`, async () => {
        const store = makeStore()
        const guard = dspinlock({ store, onStoreError })
        let runs = 0
        const app = express().post('/', guard, (_req, res) => void res.end(`${++runs}`))
        const server = await serve(app)
        const ask = () => server.ask('/', { method: 'POST' })
        expect((await ask()).body).to.equal('1')
        await store.close()
        const { status, body } = await ask()
        expect([status, runs]).to.deep.equal([503, 1])
        expect(JSON.parse(body)).to.include({ code: 'closing' })
        await server.stop()
        await guard.close()
      })
    }
  }

  it('is in docs/http.md', () => {
    topic.row('SIGTERM, and `close()` of the middleware', 'the holder’s gets its answer', 'gets 503 with Retry-After')
  })
})
