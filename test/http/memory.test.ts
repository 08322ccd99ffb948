// Memory is bounded, whatever is sent: bodies, keys, and waiters for one large response.

import { type IncomingMessage, request } from 'node:http'
import { type DspinlockOptions, dspinlock, memoryStore } from '@dspinlock/express'
import { readParsedBody } from '@dspinlock/http'
import { fingerprint } from '@dspinlock/http/support'
import { expect } from 'chai'
import express from 'express'
import { partsOf } from '../support/fingerprint-parts.js'
import { Gate, json, serve, until } from '../support/http.js'
import { storeKinds } from '../support/stores.js'

for (const [storeName, makeStore] of storeKinds) {
  for (const isSealed of [false, true]) {
    it(`memory: many followers of a large response share one copy of it, ${isSealed ? 'encrypted' : 'plain'}, on ${storeName}`, async () => {
      const store = makeStore()
      const seen = new Set<ArrayBufferLike>()
      const gate = new Gate()
      let runs = 0
      const guard = dspinlock({
        store,
        duplicates: 'replay',
        ttlMs: 60_000,
        ...(isSealed ? { encryptionKeys: [Buffer.alloc(32, 1)] } : {}),
      } satisfies DspinlockOptions)
      const app = express()
      app.use((_req, res, next) => {
        const end = res.end.bind(res) as (...args: unknown[]) => typeof res
        res.end = (...args: unknown[]) => {
          if (Buffer.isBuffer(args[0])) seen.add(args[0].buffer)
          return end(...args)
        }
        next()
      })
      app.get('/', guard, (_req, res, next) => {
        runs++
        gate.opened.then(() => res.send('x'.repeat(1_000_000)), next)
      })
      const server = await serve(app)
      const asking = Array.from({ length: 60 }, () => server.ask('/', { headers: { host: 'h' } }))
      await until(() => runs === 1 && guard.engine.waiters === 59, 'all others wait')
      gate.open()
      const answers = await Promise.all(asking)
      expect(answers.every(({ bytes }) => bytes.length === 1_000_000)).to.equal(true)
      // The holder sends its own bytes, and all followers the same ones.
      expect([runs, seen.size]).to.deep.equal([1, 2])
      await server.stop()
      await store.close()
    })
  }
}

describe('memory', () => {
  it('the store in memory keeps no more than maxBytes of many keys', async () => {
    const store = memoryStore({ maxBytes: 100_000 })
    const app = express()
    app.post(
      '/',
      dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 }),
      (_req, res) => void res.send('x'.repeat(10_000)),
    )
    const server = await serve(app)
    for (let n = 0; n < 50; n++) await server.ask('/', json({ n }))
    let kept = 0
    for await (const { recordBytes } of store.list()) kept += recordBytes
    expect(kept).to.be.within(50_000, 100_000)
    await server.stop()
    await store.close()
  })

  it('a large text that is written in one piece, of declared length, takes little more than the text', async () => {
    const [, makeStore] = storeKinds[1] as (typeof storeKinds)[number]
    const store = makeStore()
    const large = Buffer.alloc(10_000_000, 'x').toString('latin1')
    let takenBytes = 0
    const app = express()
    app.post('/', dspinlock({ store }), (_req, res) => {
      res.setHeader('Content-Length', large.length)
      const before = process.memoryUsage().heapUsed
      res.write(large)
      takenBytes = process.memoryUsage().heapUsed - before
      res.end()
    })
    const server = await serve(app)
    expect((await server.ask('/', json({}))).bytes.toString('latin1')).to.equal(large)
    expect(takenBytes).to.be.below(30_000_000)
    await server.stop()
    await store.close()
  })

  it('no more than maxBodyBytes of a large body is read to compare it, whether its length is declared or not', async () => {
    const app = express()
    let runs = 0
    const guard = dspinlock({ maxBodyBytes: 100_000, oversize: 'reject' })
    app.post('/', guard, (_req, res) => {
      runs++
      res.send('ran')
    })
    const server = await serve(app)
    for (const headers of [{ 'content-length': '1000000000' }, { 'transfer-encoding': 'chunked' }]) {
      const status = await new Promise(resolve => {
        const asked = request(
          { host: '127.0.0.1', port: server.port, method: 'POST', headers, agent: false },
          incoming => {
            resolve(incoming.statusCode)
            incoming.resume()
            asked.destroy()
          },
        )
        asked.on('error', () => {})
        asked.write('x'.repeat(150_000))
      })
      expect(status).to.equal(413)
    }
    expect([runs, guard.engine.keys]).to.deep.equal([0, 0])
    await server.stop()
  })

  it('a parsed body of bytes is never listed byte by byte, which would take seconds for some megabytes', () => {
    const bytes = new Proxy(Buffer.from('bytes'), {
      ownKeys: () => {
        throw new Error('listed')
      },
    })
    const req = { readableDidRead: true, readableEnded: true, headers: {} } as IncomingMessage
    expect(readParsedBody(req, { body: bytes })).to.deep.include({ isParsed: true })
  })

  it('a body of nothing but boundaries is compared as fast as any', () => {
    const digest = (boundary: string): string =>
      fingerprint(
        partsOf({
          contentType: `multipart/form-data; boundary=${boundary}`,
          body: { kind: 'raw', bytes: Buffer.from('--a'.repeat(349_000)) },
        }),
        undefined,
      )
    const start = process.cpuUsage()
    digest('a')
    const hostile = process.cpuUsage(start)
    expect((hostile.user + hostile.system) / 1_000, 'milliseconds of CPU').to.be.below(250)
    // Without splitting, the boundary makes it another request.
    expect(digest('a')).to.not.equal(digest('b'))
  })
})
