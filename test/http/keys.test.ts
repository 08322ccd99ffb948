// What makes two requests different, so that they never share a key.

import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import { type Ask, frameworks, json, serve, type TestServer } from '../support/http.js'

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
