// Handlers that never end, or only after their time is over: waiters are told, and the key is free after maxHoldMs.

import { expect } from 'chai'
import { openTopic } from '../support/fidelity-table.js'
import { until } from '../support/http.js'
import { type Life, lifeStores, startLife } from '../support/life.js'

describe('handlers that do not end in time', () => {
  const topic = openTopic('Handlers that do not end in time', 'never-ending.test.ts')
  const options = { leaseMs: 120, maxHoldMs: 250 }

  for (const kind of lifeStores) {
    describe(`on ${kind}`, () => {
      let life: Life
      afterEach(() => life.stop())

      it('never: waiters get 503 after waitMs; after maxHoldMs its signal aborts and the next one runs', async () => {
        // Long enough for a busy machine to answer the waiter, and to renew the lease, by then.
        life = await startLife(kind, { leaseMs: 600, maxHoldMs: 1_000, waitMs: 60 })
        const socket = await life.dial('/', 'POST')
        await until(() => life.runs.length === 1, 'it runs')
        const { lock } = life.runs[0] as Life['runs'][number]
        const waited = await life.ask('/', 'POST')
        expect([waited.status, waited.headers['retry-after']]).to.deep.equal([503, '1'])
        expect(JSON.parse(waited.body)).to.include({ code: 'waited-too-long' })
        expect(lock?.signal?.aborted).to.equal(false)
        expect(life.runs).to.have.length(1)
        await until(() => lock?.signal?.aborted === true, 'its signal aborted')
        expect(lock?.signal?.reason).to.include({ name: 'HoldTimeoutError' })
        let answer: Awaited<ReturnType<Life['ask']>> | undefined
        while (answer?.status !== 200) {
          const asking = life.ask('/', 'POST')
          await Promise.race([asking, until(() => life.runs.length === 2, 'the next one runs')])
          life.runs[1]?.res.end('its own')
          answer = await asking
        }
        expect([answer.body, life.runs.length]).to.deep.equal(['its own', 2])
        await life.free()
        socket.destroy()
        topic.row('never', 'waits for as long as it likes', 'gets 503 after `waitMs`; runs after `maxHoldMs`')
      })

      it('never, and its client left before the first byte: the key is free after maxHoldMs', async () => {
        life = await startLife(kind, { ...options, duplicates: 'replay' })
        const socket = await life.dial('/')
        await until(() => life.runs.length === 1, 'it runs')
        const began = performance.now()
        socket.destroy()
        const next = life.ask('/')
        await until(() => life.runs.length === 2, 'the next one runs')
        expect(performance.now() - began).to.be.above(150)
        life.runs[1]?.res.end('its own')
        expect((await next).body).to.equal('its own')
        await life.free()
        topic.row('never, and its client left', 'is gone', 'runs after `maxHoldMs`')
      })

      it('after maxHoldMs, and nobody came: its client gets the answer, and so do later duplicates', async () => {
        life = await startLife(kind, { ...options, duplicates: 'replay', ttlMs: 60_000 })
        const socket = await life.dial('/', 'POST')
        let received = ''
        socket.on('data', (chunk: Buffer) => {
          received += chunk.toString()
        })
        await until(() => life.runs.length === 1, 'it runs')
        const { lock, res } = life.runs[0] as Life['runs'][number]
        await until(() => lock?.signal?.aborted === true, 'its signal aborted')
        await new Promise(resolve => setTimeout(resolve, 150))
        res.end('late')
        await until(() => received.endsWith('late'), 'its client has the answer')
        const duplicate = await life.ask('/', 'POST')
        expect([duplicate.body, life.runs.length]).to.deep.equal(['late', 1])
        await life.free()
        socket.destroy()
        topic.row('after `maxHoldMs`, and nobody came', 'gets the answer', 'gets it, too')
      })

      it('after maxHoldMs, and the next one is at work: its client gets the answer, and nobody else does', async () => {
        life = await startLife(kind, { ...options, duplicates: 'replay', ttlMs: 60_000, maxHoldMs: 120 })
        const socket = await life.dial('/', 'POST')
        let received = ''
        socket.on('data', (chunk: Buffer) => {
          received += chunk.toString()
        })
        await until(() => life.runs.length === 1, 'it runs')
        const next = life.ask('/', 'POST')
        await until(() => life.runs.length === 2, 'the next one runs')
        const [first, second] = life.runs as [Life['runs'][number], Life['runs'][number]]
        expect(second.lock?.fence).to.be.above(first.lock?.fence ?? Number.POSITIVE_INFINITY)
        first.res.end('late')
        await until(() => received.endsWith('late'), 'its client has the answer')
        expect(await life.held()).to.be.above(0)
        second.res.end('in time')
        expect((await next).body).to.equal('in time')
        const later = await life.ask('/', 'POST')
        expect([later.body, life.runs.length]).to.deep.equal(['in time', 2])
        await life.free()
        socket.destroy()
        topic.row('after `maxHoldMs`, and the next one is at work', 'gets its own answer', 'gets that of the next one')
      })
    })
  }
})
