// What makes two requests different, so that they never share a key.

import { dspinlock, memoryStore } from '@dspinlock/express'
import { expect } from 'chai'
import type { Request } from 'express'
import { type Ask, frameworks, Gate, json, serve, type TestServer, until } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`keys on ${name}`, () => {
    let server: TestServer

    before(async () => {
      const app = express()
      let runs = 0
      app.all('/:where', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (req, res) => {
        res.json({ run: ++runs, key: req.dspinlock?.key, role: req.dspinlock?.role, fence: req.dspinlock?.fence })
      })
      server = await serve(app)
    })
    after(() => server.stop())

    const runOf = async (path: string, ask?: Ask): Promise<string> => (await server.ask(path, ask)).body

    it('user, body, query, path, method and host each make a request of its own', async () => {
      const base = { a: 1 }
      const asks: [string, Ask][] = [
        ['/x?q=1', json(base)],
        ['/x?q=1', json(base, { authorization: 'Bearer a' })],
        ['/x?q=1', json(base, { authorization: '' })],
        ['/x?q=1', json(base, { cookie: 'sid=1' })],
        ['/x?q=1', json({ a: 2 })],
        ['/x?q=1', json({ a: '1' })],
        ['/x?q=2', json(base)],
        ['/x?q=1&q=1', json(base)],
        ['/x', json(base)],
        ['/x?', json(base)],
        ['/y?q=1', json(base)],
        ['/x?q=1', { ...json(base), method: 'PUT' }],
        ['/x?q=1', json(base, { host: 'other.example' })],
        ['/x?q=1', json(base, { 'content-type': 'text/plain' })],
      ]
      const first = await Promise.all(asks.map(([path, ask]) => runOf(path, ask)))
      expect(new Set(first).size).to.equal(asks.length)
      const again = await Promise.all(asks.map(([path, ask]) => runOf(path, ask)))
      expect(again).to.deep.equal(first)
    })

    it('a header that says which event, operation or part of an upload it is makes a request of its own, and a retry with the same is the same', async () => {
      const named: Record<string, string>[] = [
        {},
        { 'ce-id': '1' },
        { 'svix-id': 'msg_1' },
        { 'webhook-id': 'msg_1' },
        { 'x-github-delivery': 'd-1' },
        { 'x-goog-channel-id': 'c', 'x-goog-message-number': '1' },
        { 'x-goog-channel-id': 'd', 'x-goog-message-number': '1' },
        { 'x-shopify-webhook-id': 'w-1' },
        { 'x-wc-webhook-topic': 'order.created' },
        { 'next-action': 'a1' },
        { 'x-amz-target': 'DynamoDB_20120810.DeleteTable' },
        { 'content-range': 'bytes 0-6/14' },
        { 'upload-offset': '0' },
      ]
      const all = named.flatMap(fields => [
        fields,
        ...Object.keys(fields).map(name => ({ ...fields, [name]: `${fields[name]}2` })),
      ])
      const first = await Promise.all(all.map(fields => runOf('/events', json({ a: 1 }, fields))))
      expect(new Set(first).size).to.equal(all.length)
      const again = await Promise.all(all.map(fields => runOf('/events', json({ a: 1 }, fields))))
      expect(again).to.deep.equal(first)
    })

    it('with a key of the application’s own, a replay is for those who asked for the same event under the same conditions', async () => {
      const app = express()
      let runs = 0
      app.post('/', dspinlock({ key: () => 'own', duplicates: 'replay', ttlMs: 60_000 }), (_req, res) => {
        res.send(`run ${++runs}`)
      })
      const own = await serve(app)
      const asks = [{}, { 'svix-id': 'msg_1' }, { 'svix-id': 'msg_2' }, { 'if-match': '"a"' }, { 'if-match': '"b"' }]
      for (const _ of ['first', 'again']) {
        const bodies: string[] = []
        for (const headers of asks) bodies.push((await own.ask('/', { method: 'POST', headers })).body)
        expect(bodies).to.deep.equal(['run 1', 'run 2', 'run 3', 'run 4', 'run 5'])
      }
      await own.stop()
    })

    it('two people run side by side, and take turns only where it does not matter who asks and they compete for the same', async () => {
      for (const [what, options, methods, most] of [
        ['by default', {}, ['POST', 'POST'], 2],
        ['a key, and any identity', { key: () => 'stock', identity: 'public' }, ['POST', 'POST'], 1],
        ['a key, and two methods', { key: () => 'stock', identity: 'public' }, ['POST', 'PUT'], 2],
      ] as const) {
        const app = express()
        const guard = dspinlock(options)
        const [gate, seen] = [new Gate(), { now: 0, most: 0 }]
        app.use(guard, (_req, res, next) => {
          seen.most = Math.max(seen.most, ++seen.now)
          gate.opened.then(() => {
            seen.now--
            res.send('taken')
          }, next)
        })
        const shop = await serve(app)
        const taken = methods.map((method, n) =>
          shop.ask('/stock', { ...json({ piece: n }, { host: 'h', authorization: `person ${n}` }), method }),
        )
        await until(() => seen.now + guard.engine.waiters === 2, 'both are there')
        gate.open()
        expect((await Promise.all(taken)).map(({ body }) => body)).to.deep.equal(['taken', 'taken'])
        expect(seen.most, what).to.equal(most)
        await shop.stop()
      }
    })

    it('a key of the application’s own stands in place of the path: with the same key on one store, another route gets the answer of the first', async () => {
      const store = memoryStore()
      const key = (req: Request): string => String(req.params['order'])
      const options = { store, duplicates: 'replay', ttlMs: 60_000, key } as const
      const app = express()
      for (const what of ['pay', 'ship'])
        app.post(`/${what}/:order`, dspinlock(options), (_req, res) => void res.send(`${what} done`))
      const named = { ...options, key: (req: Request) => `${req.route.path} ${key(req)}` }
      for (const what of ['pack', 'send'])
        app.post(`/${what}/:order`, dspinlock(named), (_req, res) => void res.send(`${what} done`))
      const orders = await serve(app)
      const bodies: string[] = []
      for (const what of ['pay', 'ship', 'pack', 'send'])
        bodies.push((await orders.ask(`/${what}/42`, json({}, { host: 'h', authorization: 'ann' }))).body)
      expect(bodies).to.deep.equal(['pay done', 'pay done', 'pack done', 'send done'])
      await orders.stop()
    })

    it('the order of different query names does not matter, that of equal ones does', async () => {
      expect(await runOf('/o?a=1&b=2')).to.equal(await runOf('/o?b=2&a=1'))
      expect(await runOf('/o?a=1&a=2')).not.to.equal(await runOf('/o?a=2&a=1'))
    })

    it('the handler sees its lock', async () => {
      const seen = JSON.parse(await runOf('/lock')) as { key: string; role: string; fence: number }
      expect(seen.role).to.equal('holder')
      expect(seen.key).to.match(/^[\w-]{43}$/)
      expect(seen.fence).to.be.above(1e15)
    })
  })
}
