// Clients that leave, a store that fails, and closing.

import { text } from 'node:stream/consumers'
import { memoryStore, type Store, StoreError } from '@dspinlock/core'
import { expect } from 'chai'
import { Gate, json, until } from '../support/http.js'
import type { AdapterSpec, RunningApp } from './spec.js'

export function lifeCases(adapter: AdapterSpec): void {
  describe('clients that leave', () => {
    const store = memoryStore()
    let app: RunningApp
    let runs = 0
    let gate = new Gate()

    before(async () => {
      app = await adapter.start({
        store,
        routes: [
          {
            method: 'GET',
            path: '/slow',
            guard: { duplicates: 'replay' },
            handle: async () => {
              runs++
              await gate.opened
              return { body: 'done' }
            },
          },
        ],
      })
    })
    beforeEach(() => {
      runs = 0
      gate = new Gate()
    })
    after(async () => {
      await app.server.stop()
      await app.close()
      await store.close()
    })

    it("the holder's client leaves: the work goes on, and its duplicates get the answer", async () => {
      const socket = await app.server.dial('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n')
      await until(() => runs === 1, 'it runs')
      const duplicate = app.server.ask('/slow', { headers: { host: 'h' } })
      await until(() => app.engine.waiters === 1, 'a duplicate waits')
      const left = app.server.left()
      socket.destroy()
      await left
      gate.open()
      expect((await duplicate).body).to.equal('done')
      expect([runs, app.engine.keys]).to.deep.equal([1, 0])
    })

    it('a follower leaves: it leaves the queue, and nothing else', async () => {
      const holder = app.server.ask('/slow', { headers: { host: 'h' } })
      await until(() => runs === 1, 'one runs')
      const socket = await app.server.dial('GET /slow HTTP/1.1\r\nHost: h\r\n\r\n')
      await until(() => app.engine.waiters === 1, 'a duplicate waits')
      socket.destroy()
      await until(() => app.engine.waiters === 0, 'it left')
      gate.open()
      expect((await holder).body).to.equal('done')
      expect([runs, app.errors]).to.deep.equal([1, []])
    })
  })

  describe('a store that fails', () => {
    const failing = failingStore()
    let app: RunningApp

    before(async () => {
      app = await adapter.start({
        store: failing,
        routes: (['reject', 'bypass', 'local'] as const).map(onStoreError => ({
          method: 'POST',
          path: `/${onStoreError}`,
          guard: { onStoreError },
          handle: ({ lock }) => ({ status: 200, body: lock?.role }),
        })),
      })
    })
    after(async () => {
      await app.server.stop()
      await app.close()
      await failing.close()
    })

    for (const [path, expected] of [
      ['/bypass', 'bypassed'],
      ['/local', 'holder'],
    ] as const) {
      it(`onStoreError: '${path.slice(1)}' runs`, async () => {
        expect((await app.server.ask(path, json({}))).body).to.equal(expected)
      })
    }

    it("onStoreError: 'reject' answers 503", async () => {
      const answer = await app.server.ask('/reject', json({}))
      expect([answer.status, answer.headers['retry-after']]).to.deep.equal([503, '1'])
      expect(JSON.parse(answer.body)).to.include({ code: 'unavailable' })
    })
  })

  describe('refusing and closing', () => {
    it('a request that waits too long gets 503; closing answers waiters and newcomers, and the holder finishes', async () => {
      const gate = new Gate()
      const store = memoryStore()
      let runs = 0
      const handle = async (): Promise<{ status: number; body: string }> => {
        runs++
        await gate.opened
        return { status: 200, body: 'done' }
      }
      const app = await adapter.start({
        store,
        routes: [
          { method: 'POST', path: '/short', guard: { waitMs: 30 }, handle },
          { method: 'POST', path: '/patient', guard: {}, handle },
        ],
      })
      const holders = [app.server.ask('/short', json({})), app.server.ask('/patient', json({}))]
      await until(() => runs === 2, 'both run')
      const refused = await app.server.ask('/short', json({}))
      expect(refused.status).to.equal(503)
      expect(JSON.parse(refused.body)).to.include({ code: 'waited-too-long' })

      // Over connections that the client would keep.
      const head = `POST /patient HTTP/1.1\r\nHost: 127.0.0.1:${app.server.port}\r\nContent-Type: application/json`
      const askToStay = () => app.server.dial(`${head}\r\nContent-Length: 2\r\n\r\n{}`)
      const waiting = await askToStay()
      await until(() => app.engine.waiters === 1, 'one waits')
      const closing = app.close()
      for (const refusal of [waiting, await askToStay()]) {
        // It ends only if the server closes the connection.
        const said = await text(refusal)
        expect(said).to.match(/^HTTP\/1\.1 503 .*\r\nConnection: close\r\n.*"code":"closing"/is)
      }
      gate.open()
      expect((await Promise.all(holders)).map(({ status }) => status)).to.deep.equal([200, 200])
      await closing
      await app.server.stop()
      await store.close()
    })

    it('what onRefused rejects with goes to the framework', async () => {
      const gate = new Gate()
      const store = memoryStore()
      let runs = 0
      const app = await adapter.start({
        store,
        routes: [
          {
            method: 'POST',
            path: '/',
            guard: { duplicates: 'reject', refuseWith: new Error('of onRefused') },
            handle: async () => {
              runs++
              await gate.opened
              return { body: 'done' }
            },
          },
        ],
      })
      const holder = app.server.ask('/', json({}))
      await until(() => runs === 1, 'it runs')
      expect((await app.server.ask('/', json({}))).status).to.equal(500)
      expect(app.errors).to.deep.equal(['of onRefused'])
      gate.open()
      await holder
      await app.close()
      await app.server.stop()
      await store.close()
    })
  })
}

/** A memory store whose claims fail. */
function failingStore(): Store {
  const store = memoryStore()
  return new Proxy<Store>(store, {
    get: (target, name) => {
      if (name === 'claim')
        return () => Promise.reject(new StoreError('failing', 'claim', undefined, new Error('planned')))
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
