// Each policy with real duplicates, on a route, app-wide, and both.

import { memoryStore } from '@dspinlock/core'
import { expect } from 'chai'
import { type Answer, Gate, json, until } from '../support/http.js'
import type { AdapterSpec, RunningApp } from './spec.js'

export function policyCases(adapter: AdapterSpec): void {
  describe('policies', () => {
    const store = memoryStore()
    let app: RunningApp
    let runs = 0
    let inside = 0
    let overlapped = false
    let gate = new Gate()

    const work = async (): Promise<{ body: { run: number } }> => {
      const run = ++runs
      overlapped ||= ++inside > 1
      await gate.opened
      inside--
      return { body: { run } }
    }
    before(async () => {
      app = await adapter.start({
        store,
        appWide: {},
        routes: [
          { method: 'GET', path: '/replay', guard: { duplicates: 'replay', ttlMs: 60_000 }, handle: work },
          { method: 'GET', path: '/impatient', guard: { duplicates: 'replay', whileInFlight: 'reject' }, handle: work },
          { method: 'POST', path: '/reject', guard: { duplicates: 'reject', ttlMs: 60_000 }, handle: work },
          { method: 'POST', path: '/pay', guard: { duplicates: 'reject' }, handle: work },
          { method: 'POST', path: '/serialise', handle: work },
          { method: 'GET', path: '/open', handle: ({ lock }) => ({ body: { guarded: lock !== undefined } }) },
          {
            method: 'GET',
            path: '/lock',
            guard: {},
            handle: ({ lock }) => ({ body: { ...lock, aborted: lock?.signal?.aborted } }),
          },
        ],
      })
    })
    beforeEach(() => {
      runs = 0
      overlapped = false
      gate = new Gate()
    })
    after(async () => {
      await app.server.stop()
      await app.close()
      await store.close()
    })
    const burst = async (count: number, ask: () => Promise<Answer>): Promise<Answer[]> => {
      const answers = Array.from({ length: count }, ask)
      await until(() => app.engine.waiters === count - 1, 'all but one wait')
      gate.open()
      return Promise.all(answers)
    }

    it('replay: one of 50 runs, all get its answer, and later ones do, too', async () => {
      const answers = await burst(50, () => app.server.ask('/replay'))
      expect(runs).to.equal(1)
      expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).to.deep.equal(new Set(['200 {"run":1}']))
      expect(answers.filter(({ headers }) => headers['cache-status'] === 'dspinlock; collapsed')).to.have.length(49)
      const later = await app.server.ask('/replay')
      expect([later.body, later.headers['cache-status']]).to.deep.equal(['{"run":1}', 'dspinlock; hit'])
      expect(later.headers.age).to.match(/^\d+$/)
    })

    it("replay with whileInFlight: 'reject': 409 while one runs", async () => {
      const first = app.server.ask('/impatient')
      await until(() => runs === 1, 'one runs')
      const refused = await app.server.ask('/impatient')
      expect([refused.status, refused.headers['retry-after']]).to.deep.equal([409, '1'])
      gate.open()
      expect((await first).status).to.equal(200)
    })

    it('reject: 409 with a problem while one runs and after it finished', async () => {
      const first = app.server.ask('/reject', json({ n: 1 }))
      await until(() => runs === 1, 'one runs')
      const early = await app.server.ask('/reject', json({ n: 1 }))
      gate.open()
      expect((await first).status).to.equal(200)
      const late = await app.server.ask('/reject', json({ n: 1 }))
      for (const [answer, code] of [[early, 'in-flight'] as const, [late, 'settled'] as const]) {
        expect(answer.status).to.equal(409)
        expect(answer.headers['content-type']).to.equal('application/problem+json')
        expect(answer.headers['cache-control']).to.equal('no-store')
        expect(JSON.parse(answer.body)).to.include({ status: 409, code })
      }
    })

    it('serialise, app-wide: each of 10 runs, and never two at once', async () => {
      const answers = await burst(10, () => app.server.ask('/serialise', json({ a: 1 })))
      expect(new Set(answers.map(answer => answer.body)).size).to.equal(10)
      expect([runs, overlapped]).to.deep.equal([10, false])
    })

    it('app-wide, a GET is not guarded', async () => {
      expect((await app.server.ask('/open')).body).to.equal('{"guarded":false}')
    })

    it('a mount on the route decides, not the one around it', async () => {
      const first = app.server.ask('/pay', json({ n: 1 }))
      await until(() => runs === 1, 'one runs')
      expect((await app.server.ask('/pay', json({ n: 1 }))).status).to.equal(409)
      gate.open()
      expect((await first).status).to.equal(200)
      expect((await app.server.ask('/pay', json({ n: 1 }))).status).to.equal(200)
    })

    it('the handler sees its lock', async () => {
      const lock = JSON.parse((await app.server.ask('/lock')).body) as Record<string, unknown>
      expect(lock).to.include({ role: 'holder', aborted: false })
      expect(lock['key']).to.match(/^[\w-]{43}$/)
      expect(lock['fence']).to.be.above(1e15)
    })
  })
}
