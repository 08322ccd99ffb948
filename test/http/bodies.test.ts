// The handler gets the whole body of its request, whatever reads it, before or after dspinlock.

import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { memoryStore, type Store } from '@dspinlock/core'
import { dspinlock } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import type { RequestHandler } from 'express'
import multer from 'multer'
import { frameworks, json, serve, type TestServer } from '../support/http.js'
import { redisUrl } from '../support/redis.js'

/** Makes up requests as serverless-http and light-my-request do. */
const madeUp: readonly (readonly [string, isComplete: boolean | undefined, hand: (over: () => void) => void])[] = [
  ['complete from the start', true, over => over()],
  ['never complete', undefined, over => void setImmediate(over)],
]

const stores: readonly (readonly [string, () => Store])[] = [
  ['a store in memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `bodies-${randomUUID()}` })],
]

/** Keeps what it hears of the body, and hands the request on at once. */
const listen: RequestHandler = (req, res, next) => {
  res.locals['raw'] = ''
  req.on('data', chunk => {
    res.locals['raw'] += String(chunk)
  })
  next()
}

for (const { name, express } of frameworks) {
  describe(`bodies on ${name}`, () => {
    let server: TestServer
    let runs = 0
    let seen: string | undefined
    let iterating: ReturnType<typeof dspinlock>

    before(async () => {
      const app = express()
      const guard = { duplicates: 'replay', ttlMs: 60_000 } as const
      app.use((req, res, next) => {
        // Like a time limit, once the first piece of the body was read.
        if (req.query['late'] !== undefined) setImmediate(() => res.status(503).send('too late'))
        next()
      })
      iterating = dspinlock(guard)
      const echo: RequestHandler = (req, res) => {
        runs++
        res.json({ body: req.body as unknown })
      }
      app.post('/before', dspinlock(guard), express.json({ limit: '5mb' }), echo)
      app.post('/after', express.json({ limit: '5mb' }), dspinlock(guard), echo)
      app.post('/files', multer().any(), dspinlock(guard), (req, res) => {
        runs++
        const files = req.files as unknown as Express.Multer.File[]
        res.send(files.map(({ fieldname, buffer }) => `${fieldname}=${buffer.toString()}`).join())
      })
      app.post('/pipe', dspinlock({ ...guard, maxBodyBytes: 3_000_000 }), (req, res) => {
        runs++
        req.pipe(res)
      })
      app.post('/iterate', iterating, (req, res, next) => {
        runs++
        text(req).then(all => res.send(`got ${all.length}`), next)
      })
      app.post('/listen', dspinlock(guard), (req, res) => {
        let size = 0
        req.on('data', (chunk: Buffer) => {
          size += chunk.length
        })
        req.on('end', () => res.send(`got ${size}`))
      })
      const ignore: RequestHandler = (_req, res) => {
        runs++
        res.send('ignored')
      }
      app.post('/ignoring', dspinlock({ ...guard, maxBodyBytes: 10 }), ignore)
      const byKey = { idempotencyKey: 'required', maxBodyBytes: 10, oversize: 'pass' } as const
      app.post('/ignoring-by-key', dspinlock(byKey), ignore)
      const reading: RequestHandler = (req, res, next) => {
        let all = ''
        req.on('data', (chunk: Buffer) => {
          all += chunk.toString()
        })
        req.on('end', () => res.send(`got ${all}`))
        next()
      }
      app.post('/being-read', reading, dspinlock(guard), () => void runs++)
      app.post('/refusing', dspinlock({ ...guard, maxBodyBytes: 10, oversize: 'reject' }), echo)
      app.post('/passing', dspinlock({ ...guard, maxBodyBytes: 10 }), (req, res, next) => {
        runs++
        seen = req.dspinlock?.role
        text(req).then(all => res.send(all), next)
      })
      server = await serve(app)
    })
    beforeEach(() => {
      runs = 0
    })
    after(() => server.stop())

    for (const path of ['/before', '/after']) {
      it(`${path.slice(1)} express.json, the handler gets the same body, and a duplicate its answer`, async () => {
        const ask = json({ deep: [1, { two: '2' }], text: 'é'.repeat(200_000) })
        const [first, second] = [await server.ask(path, ask), await server.ask(path, ask)]
        expect(JSON.parse(first.body)).to.deep.equal({ body: JSON.parse(String(ask.body)) as unknown })
        expect(second.body).to.equal(first.body)
        expect(runs).to.equal(1)
      })
    }

    it('the same files under other names are another form', async () => {
      const ask = async (...names: readonly string[]): Promise<string> => {
        const parts = names.map(
          (field, at) => `--b\r\nContent-Disposition: form-data; name="${field}"; filename="s"\r\n\r\n${at}\r\n`,
        )
        const headers = { 'content-type': 'multipart/form-data; boundary=b' }
        return (await server.ask('/files', { method: 'POST', headers, body: `${parts.join('')}--b--\r\n` })).body
      }
      expect(await ask('front', 'back')).to.equal('front=0,back=1')
      expect(await ask('back', 'front')).to.equal('back=0,front=1')
      expect(await ask('front', 'back')).to.equal('front=0,back=1')
      expect(runs).to.equal(2)
    })

    it('a handler that pipes gets every byte', async () => {
      const body = Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, n) => 32 + (n % 90)))
      const answer = await server.ask('/pipe', { method: 'POST', body, headers: { 'content-type': 'text/plain' } })
      expect(answer.body).to.equal(body.toString('latin1'))
    })

    it('an empty chunked body ends for the handler as it would without us', async () => {
      for (const path of ['/iterate', '/listen']) {
        const head = `POST ${path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`
        expect(await text(await server.dial(`${head}0\r\n\r\n`))).to.contain('got 0')
      }
    })

    for (const [how, isComplete, hand] of madeUp) {
      it(`where an app runs without a server, and its requests are made up, ${how}: bodies are compared, and parsed behind us`, async () => {
        const app = express()
        app.post('/', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), express.json(), (req, res) => {
          runs++
          res.json(req.body)
        })
        const withoutServer = await serve((real: IncomingMessage, res: ServerResponse) => {
          const made = new IncomingMessage(real.socket)
          const { method, url, headers } = real
          Object.assign(made, { method, url, headers, complete: isComplete })
          void text(real).then(body => {
            made._read = () => hand(() => [body, null].forEach(part => made.push(part)))
            app(made as never, res as never)
          })
        })
        for (const value of [{ a: 1 }, { a: 2 }, { a: 1 }])
          expect((await withoutServer.ask('/', json(value))).body).to.equal(JSON.stringify(value))
        expect(runs).to.equal(2)
        await withoutServer.stop()
      })
    }

    for (const [kind, make] of stores) {
      it(`where middleware in front listens to the body, it and the parser behind us get all of it, with ${kind}`, async () => {
        const store = make()
        const app = express()
        app.post('/', listen, dspinlock({ idempotencyKey: 'required', store }), express.json(), (req, res) => {
          runs++
          res.json([req.body, res.locals['raw']])
        })
        const listening = await serve(app)
        const ask = json({ amount: 1 }, { 'idempotency-key': 'k' })
        for (let n = 0; n < 2; n++)
          expect((await listening.ask('/', ask)).body).to.equal(JSON.stringify([{ amount: 1 }, ask.body]))
        expect(runs).to.equal(1)
        await listening.stop()
        await store.close()
      })

      it(`where middleware in front listens to the body, several of ours behind it, or a handler that pauses it, lose nothing, with ${kind}`, async () => {
        const store = make()
        const app = express()
        const byKey = (key: string) => dspinlock({ key: () => key, store })
        const echo: RequestHandler = (req, res, next) => {
          text(req).then(body => res.json([body, res.locals['raw']]), next)
        }
        const pause: RequestHandler = (req, _res, next) => {
          req.pause()
          setImmediate(next)
        }
        app.post('/keys', listen, byKey('outer'), byKey('inner'), echo)
        app.post('/body', listen, byKey('body'), dspinlock({ store }), echo)
        app.post('/pause', listen, byKey('pause'), pause, echo)
        const listening = await serve(app)
        const ask = json({ amount: 1 })
        for (const path of ['/keys', '/body', '/pause'])
          expect((await listening.ask(path, ask)).body, path).to.equal(JSON.stringify([ask.body, ask.body]))
        await listening.stop()
        await store.close()
      })
    }

    it('a body that something in front is reading already is left to it, and its request is not guarded', async () => {
      for (let n = 1; n <= 2; n++) {
        const ask = { method: 'POST', body: 'all', headers: { 'content-type': 'text/plain' } }
        expect((await server.ask('/being-read', ask)).body).to.equal('got all')
        expect(runs).to.equal(n)
      }
    })

    it('over maxBodyBytes: 413 where asked, else untouched and unguarded', async () => {
      const ask = { method: 'POST', body: 'x'.repeat(100), headers: { 'content-type': 'text/plain' } }
      expect((await server.ask('/refusing', ask)).status).to.equal(413)
      expect(runs).to.equal(0)
      const framings: Record<string, string>[] = [{}, { 'transfer-encoding': 'chunked' }]
      for (const framing of framings) {
        const asked = (length: number) => ({
          ...ask,
          body: 'x'.repeat(length),
          headers: { ...ask.headers, ...framing },
        })
        expect((await server.ask('/refusing?most', asked(11))).status).to.equal(413)
        expect((await server.ask('/refusing?most', asked(10))).status).to.equal(200)
      }
      runs = 0
      expect((await server.ask('/passing', ask)).body).to.equal(ask.body)
      expect((await server.ask('/passing', ask)).body).to.equal(ask.body)
      expect([runs, seen]).to.deep.equal([2, undefined])
      const chunked = `${'32\r\n'}${'y'.repeat(50)}\r\n0\r\n\r\n`
      const head = 'POST /passing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'
      expect(await text(await server.dial(head + chunked))).to.contain('y'.repeat(50))
    })

    it('over maxBodyBytes in chunks: the rest is pulled off the wire, and the next request on the connection is served', async () => {
      const chunk = `186a0\r\n${'x'.repeat(100_000)}\r\n`
      const refused = `POST /refusing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(20)}0\r\n\r\n`
      const next = 'POST /iterate HTTP/1.1\r\nHost: next\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'
      const wire = await text(await server.dial(refused + next))
      expect(wire)
        .to.match(/^HTTP\/1\.1 413 /)
        .and.to.contain('got 2')
    })

    for (const [path, expected] of [
      ['/ignoring', 2],
      ['/ignoring-by-key', 1],
    ] as const) {
      it(`${path}: over maxBodyBytes in chunks, and no handler reads it: the next request on the connection is served`, async () => {
        const chunk = `186a0\r\n${'x'.repeat(100_000)}\r\n`
        const head = `POST ${path} HTTP/1.1\r\nHost: h\r\nIdempotency-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n`
        const next = `POST /iterate HTTP/1.1\r\nHost: ${path.slice(1)}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`
        for (let n = 0; n < 2; n++)
          expect(await text(await server.dial(`${head}${chunk.repeat(20)}0\r\n\r\n${next}`))).to.match(
            /ignored[^]*got 2/,
          )
        // The next request is run once, and replayed then.
        expect(runs - 1).to.equal(expected)
      })
    }

    for (const [path, size] of [
      ['/ignoring', 100_000],
      ['/refusing', 100_000],
      ['/ignoring', 5],
    ] as const) {
      it(`${path}: answered by other code while its body arrives, which comes to ${size} bytes: nothing runs, and the next request on the connection is served`, async () => {
        const head = `POST ${path}?late HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`
        const next = 'GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
        const socket = await server.dial(head)
        const [answer] = (await once(socket, 'data')) as [Buffer]
        expect(answer.toString()).to.contain('too late')
        socket.write(`${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n${next}`)
        expect(await text(socket)).to.contain('HTTP/1.1 404')
        expect(runs).to.equal(0)
      })
    }

    it('half a body and gone: nothing ran and nothing is held', async () => {
      const head = 'POST /iterate HTTP/1.1\r\nHost: half\r\nContent-Length: 10\r\nConnection: close\r\n\r\n'
      const socket = await server.dial(`${head}12345`)
      socket.destroy()
      await once(socket, 'close')
      expect(await text(await server.dial(`${head}1234567890`))).to.contain('got 10')
      expect(runs).to.equal(1)
    })

    it('half a body that goes no further holds nothing, and nobody waits for it', async () => {
      const head = 'POST /iterate HTTP/1.1\r\nHost: stalled\r\nContent-Length: 10\r\nConnection: close\r\n\r\n'
      const stalled = await server.dial(`${head}12345`)
      expect(await text(await server.dial(`${head}1234567890`))).to.contain('got 10')
      expect([runs, iterating.engine.keys]).to.deep.equal([1, 0])
      // The rest comes after all, so it is a duplicate like any other.
      stalled.write('67890')
      expect(await text(stalled)).to.contain('Cache-Status: dspinlock; hit')
      expect(runs).to.equal(1)
    })
  })
}
