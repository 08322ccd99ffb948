// Nobody can keep others from being served by holding locks, by waiting in large numbers, or by sending a body slowly.

import { once } from 'node:events'
import { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { tracing } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import type { Response } from 'express'
import { frameworks, Gate, json, serve, until } from '../support/http.js'
import { hear } from '../support/tracing.js'

for (const { name, express } of frameworks) {
  describe(`holding locks on ${name}`, () => {
    it('a crowd that waits for one key, or for many, is turned away at its limit, and others are served', async () => {
      let gate = new Gate()
      const perKey = dspinlock({ maxWaitersPerKey: 2 })
      const all = dspinlock({ maxWaiters: 2 })
      const app = express()
      const wait = (_req: unknown, res: Response, next: (error: unknown) => void): void => {
        gate.opened.then(() => res.send('done'), next)
      }
      app.post('/one', perKey, wait)
      app.post('/all', all, wait)
      const server = await serve(app)
      for (const [path, guard] of [
        ['/one', perKey],
        ['/all', all],
      ] as const) {
        gate = new Gate()
        const crowd = Array.from({ length: 3 }, () => server.ask(path, json({ crowd: 1 })))
        await until(() => guard.engine.waiters === 2, 'as many wait as may')
        const refused = await server.ask(path, json({ crowd: 1 }))
        expect([refused.status, refused.headers['retry-after']]).to.deep.equal([503, '1'])
        expect(JSON.parse(refused.body)).to.include({ code: 'too-many-waiters' })
        const other = server.ask(path, json({ other: 1 }))
        await until(() => guard.engine.keys === 2, 'another key is free')
        gate.open()
        expect((await other).status).to.equal(200)
        expect((await Promise.all(crowd)).map(({ status }) => status)).to.deep.equal([200, 200, 200])
      }
      await server.stop()
    })

    it('one identity has no more requests under way than it may; others are served, also while it is turned away', async () => {
      const gate = new Gate()
      let runs = 0
      const app = express()
      app.post('/', dspinlock({ maxRequestsPerIdentity: 2 }), (_req, res, next) => {
        runs++
        gate.opened.then(() => res.send('done'), next)
      })
      const server = await serve(app)
      const as = (authorization: string, n: number) => server.ask('/', json({ n }, { authorization }))
      const under = [as('eve', 1), as('eve', 2)]
      await until(() => runs === 2, 'both run')
      const refused = await as('eve', 3)
      expect([refused.status, refused.headers['retry-after']]).to.deep.equal([429, '1'])
      const ann = as('ann', 1)
      await until(() => runs === 3, 'another one is served')
      gate.open()
      expect((await Promise.all([...under, ann])).map(({ status }) => status)).to.deep.equal([200, 200, 200])
      expect((await as('eve', 3)).status).to.equal(200)
      await server.stop()
    })

    it('one that has ended makes room for one more, and no more than that', async () => {
      const gates = [new Gate(), new Gate()]
      let runs = 0
      const app = express()
      const limits = { maxRequestsPerIdentity: 2, duplicates: 'replay', ttlMs: 60_000 } as const
      app.post('/:n', dspinlock(limits), (req, res, next) => {
        runs++
        gates[Number(req.params['n']) % 2]?.opened.then(() => res.send('done'), next)
      })
      const server = await serve(app)
      const ask = async (n: number): Promise<number> =>
        (await server.ask(`/${n}`, json({}, { authorization: 'eve' }))).status
      const [first, second] = [ask(0), ask(1)]
      await until(() => runs === 2, 'both run')
      gates[0]?.open()
      expect(await first).to.equal(200)
      const third = ask(3)
      await until(() => runs === 3, 'there is room')
      expect(await ask(5)).to.equal(429)
      gates[1]?.open()
      expect([await second, await third, await ask(5)]).to.deep.equal([200, 200, 200])
      await server.stop()
    })

    it('who left while it was asked who it is, or while it stood behind others of its connection, counts no more', async () => {
      let gate = new Gate()
      let asked = 0
      const app = express()
      app.get('/slow', (_req, res, next) => void gate.opened.then(() => res.send('slow'), next))
      const options = { maxRequestsPerIdentity: 2, duplicates: 'replay', ttlMs: 60_000 } as const
      const identity = async () => {
        asked++
        await gate.opened
        return 'eve'
      }
      app.post('/asked', dspinlock({ ...options, identity }), (_req, res) => void res.send('done'))
      app.post('/', dspinlock(options), (_req, res) => void res.send('done'))
      const server = await serve(app)
      const write = (path: string): string => `POST ${path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n`
      const leave = async (wire: string, holds: () => boolean): Promise<void> => {
        const socket = await server.dial(wire)
        await until(holds, 'it is there')
        const left = server.left()
        socket.destroy()
        await left
      }
      const ask = async (path: string): Promise<number> =>
        (await server.ask(path, { method: 'POST', headers: { host: 'h' } })).status
      for (let n = 1; n <= 2; n++) await leave(write('/asked'), () => asked === n)
      gate.open()
      expect(await ask('/asked')).to.equal(200)

      expect(await ask('/')).to.equal(200)
      gate = new Gate()
      for (let n = 1; n <= 2; n++) {
        // Requests behind it in the same piece were handled by the time the slow one was.
        await leave(`GET /slow HTTP/1.1\r\nHost: h\r\n\r\n${write('/')}${write('/asked')}`, () => asked === 3 + n)
      }
      gate.open()
      expect(await ask('/')).to.equal(200)
      await server.stop()
    })

    it('who was answered by other code while it was asked who it is counts no more, though its connection stays', async () => {
      const gate = new Gate()
      const closed = new Gate()
      let asked = 0
      const identity = async () => {
        if (++asked === 1) await gate.opened
        return 'eve'
      }
      const app = express()
      app.post('/', (_req, res, next) => {
        next()
        // Like a time limit.
        if (asked === 1) res.once('close', closed.open).end('too late')
      })
      app.post('/', dspinlock({ maxRequestsPerIdentity: 1, identity }), (_req, res) => void res.send('done'))
      const server = await serve(app)
      const socket = await server.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
      await closed.opened
      gate.open()
      expect((await server.ask('/', { method: 'POST' })).body).to.equal('done')
      socket.destroy()
      await server.stop()
    })

    it('who left while its work goes on still counts', async () => {
      const gate = new Gate()
      let runs = 0
      const guard = dspinlock({ maxRequestsPerIdentity: 1 })
      const app = express()
      app.post('/', guard, (_req, res, next) => {
        runs++
        gate.opened.then(() => res.send('done'), next)
      })
      const server = await serve(app)
      const socket = await server.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
      await until(() => runs === 1, 'it runs')
      const left = server.left()
      socket.destroy()
      await left
      expect((await server.ask('/', { method: 'POST' })).status).to.equal(429)
      gate.open()
      await until(() => guard.engine.keys === 0, 'its work is over')
      expect((await server.ask('/', { method: 'POST' })).status).to.equal(200)
      await server.stop()
    })

    it('who left while it waited behind others of its connection waits no more', async () => {
      const gate = new Gate()
      const guard = dspinlock({ maxRequestsPerIdentity: 3 })
      const app = express()
      app.get('/slow', (_req, res, next) => void gate.opened.then(() => res.send('slow'), next))
      app.post('/', guard, (_req, res, next) => void gate.opened.then(() => res.send('done'), next))
      const server = await serve(app)
      const write = 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'
      const holder = await server.dial(write)
      await until(() => guard.engine.keys === 1, 'one holds the key')
      for (let n = 0; n < 3; n++) {
        const socket = await server.dial(`GET /slow HTTP/1.1\r\nHost: h\r\n\r\n${write}${write}`)
        await until(() => guard.engine.waiters === 2, 'two wait')
        socket.destroy()
        await until(() => guard.engine.waiters === 0, 'nobody waits')
      }
      gate.open()
      holder.destroy()
      await server.stop()
    })

    it('where an app runs without a server, its sockets are made up, and requests are counted all the same', async () => {
      const app = express()
      app.use((req, _res, next) => {
        Object.defineProperty(req, 'socket', { value: { remoteAddress: '127.0.0.1', destroy() {} } })
        next()
      })
      app.post('/', dspinlock({ maxRequestsPerIdentity: 1 }), (_req, res) => void res.send('done'))
      const server = await serve(app)
      for (let n = 0; n < 2; n++) expect((await server.ask('/', json({}))).status).to.equal(200)
      await server.stop()
    })

    it('where an app runs without a server, and its response has no socket, the hold ends with the response', async () => {
      const guard = dspinlock()
      const app = express()
      app.post('/', guard, (_req, res) => void res.send('done'))
      const headers = { host: 'made-up' }
      const req = new IncomingMessage({ remoteAddress: '127.0.0.1', destroy() {} } as unknown as Socket)
      const res = new ServerResponse(Object.assign(req, { method: 'POST', url: '/', headers }))
      const failed: unknown[] = []
      app(req as never, res as never, error => failed.push(error))
      await until(() => res.writableEnded || failed.length > 0, 'it is answered')
      expect(failed).to.deep.equal([])
      expect(guard.engine.keys).to.equal(0)
    })

    it('any number of one identity may stand behind one another, as many as it may have, and Node suspects no leak', async () => {
      const gate = new Gate()
      const guard = dspinlock({ maxRequestsPerIdentity: 20 })
      const connections: Socket[] = []
      let listeners = 0
      const app = express()
      app.use((req, _res, next) => {
        if (connections.push(req.socket) === 1) listeners = req.socket.listenerCount('close')
        next()
      })
      app.post('/', guard, (_req, res, next) => void gate.opened.then(() => res.send('done'), next))
      const server = await serve(app)
      const suspected: Error[] = []
      const note = (warning: Error): void => void suspected.push(warning)
      process.on('warning', note)
      const socket = await server.dial('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n'.repeat(20))
      await until(() => guard.engine.waiters === 19, 'all but the first wait')
      await setImmediate()
      process.off('warning', note)
      expect(suspected).to.deep.equal([])
      gate.open()
      let answers = ''
      socket.on('data', (chunk: Buffer) => {
        answers += chunk.toString()
      })
      await until(() => answers.split('200 OK').length === 21, 'all are answered')
      await until(
        () => Number(connections[0]?.listenerCount('close')) <= listeners,
        'nobody listens to the connection any more',
      )
      socket.destroy()
      await server.stop()
    })

    it('whose hold was lost to maxHoldMs counts no more, though its client waits on', async () => {
      const app = express()
      let lost: Promise<unknown> | undefined
      app.post('/:n', dspinlock({ maxRequestsPerIdentity: 1, maxHoldMs: 20 }), (req, res) => {
        if (req.params['n'] === '2') res.send('done')
        else if (req.dspinlock?.signal) lost = once(req.dspinlock.signal, 'abort')
      })
      const server = await serve(app)
      const socket = await server.dial('POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n')
      await until(() => lost !== undefined, 'it runs')
      await lost
      expect((await server.ask('/2', { method: 'POST', headers: { host: 'h' } })).status).to.equal(200)
      socket.destroy()
      await server.stop()
    })

    it('a handler that never ends, and a client that never reads, hold their key for maxHoldMs at the most', async () => {
      const guard = dspinlock({ maxHoldMs: 150, leaseMs: 100, waitMs: 5_000 })
      let runs = 0
      const app = express()
      app.get('/never', guard, (_req, res) => {
        if (++runs > 1) res.send('mine')
      })
      app.get('/large', guard, (_req, res) => {
        if (++runs > 1) return void res.send('mine')
        const more = (): void => {
          while (res.write('x'.repeat(65_536)));
          res.once('drain', more)
        }
        more()
      })
      const server = await serve(app)
      for (const path of ['/never', '/large']) {
        runs = 0
        const socket = await server.dial(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
        socket.pause()
        await until(() => runs === 1, 'it runs')
        expect((await server.ask(path, { headers: { host: 'h' } })).body).to.equal('mine')
        socket.destroy()
      }
      await server.stop()
    })

    for (const [what, options] of [
      ['an Idempotency-Key', { idempotencyKey: 'required' }],
      ['a key of the application’s own', { key: () => 'one', identity: 'public' }],
    ] as const)
      it(`who sends a body slowly has claimed nothing, and holds up nobody: with ${what}`, async () => {
        let runs = 0
        const guard = dspinlock(options)
        const app = express()
        app.post('/', guard, express.json(), (_req, res) => {
          runs++
          res.send('ran')
        })
        const server = await serve(app)
        const head =
          'POST / HTTP/1.1\r\nHost: h\r\nIdempotency-Key: slow\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n'
        const slow = await Promise.all(Array.from({ length: 20 }, () => server.dial(`${head}{"a"`)))
        const whole = await server.ask('/', { ...json({ amount: 1 }, { host: 'h', 'idempotency-key': 'slow' }) })
        expect([whole.status, runs, guard.engine.keys, guard.engine.waiters]).to.deep.equal([200, 1, 0, 0])
        // Nor is anything claimed for those who leave with half a body.
        const claims = hear({ enter: tracing.enter })
        for (const socket of slow) {
          const left = server.left()
          socket.destroy()
          await left
        }
        await setImmediate()
        claims.stop()
        expect(claims.heard).to.deep.equal([])
        await server.stop()
      })
  })
}
