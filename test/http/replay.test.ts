// A replay is what the first client got, however the handler answered.

import { randomUUID } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dspinlock, memoryStore, type Store } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { frameworks, serve, type TestServer } from '../support/http.js'
import { isLasting } from '../support/lasting-headers.js'
import { redisUrl } from '../support/redis.js'

const file = join(mkdtempSync(join(tmpdir(), 'dspinlock-file-')), 'file.txt')
writeFileSync(file, 'contents of the file\n'.repeat(5_000))

const stores: readonly [string, () => Store][] = [
  ['memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `replay-${process.pid}` })],
]

for (const { name, express } of frameworks) {
  for (const [storeName, makeStore] of stores) {
    describe(`replay on ${name} and ${storeName}`, () => {
      let server: TestServer
      let listener: (req: IncomingMessage, res: ServerResponse) => void
      let store: Store
      let runs = 0

      before(async () => {
        store = makeStore()
        const app = express()
        const guard = dspinlock({ store, duplicates: 'replay', ttlMs: 60_000 })
        app.use((_req, res, next) => {
          res.setHeader('X-Outside', String(runs))
          next()
        })
        const answers: Record<string, (res: import('express').Response) => void> = {
          json: res => void res.status(201).json({ a: [1, null, 'ü'] }),
          text: res => void res.send('text'),
          buffer: res => void res.send(Buffer.from([0, 1, 2, 250, 255])),
          chunks: res => {
            res.write('one ')
            res.write(Buffer.from('two '))
            setImmediate(() => res.end('three'))
          },
          head: res => {
            res.writeHead(203, 'Of My Own', { 'X-Case': 'kept', 'X-List': ['1', '2'] })
            res.end('dGV4dA==', 'base64')
          },
          empty: res => void res.status(200).end(),
          nothing: res => void res.sendStatus(204),
          redirect: res => res.redirect('/elsewhere'),
          file: res => res.sendFile(file),
          cookie: res => void res.cookie('sid', 'secret').send('with a cookie'),
          missing: res => void res.status(404).json({ missing: true }),
        }
        for (const [path, answer] of Object.entries(answers)) {
          app.get(`/${path}`, guard, (_req, res) => {
            runs++
            answer(res)
          })
        }
        listener = app
        server = await serve(app)
      })
      after(async () => {
        await server.stop()
        await store.close()
      })

      for (const [path, what] of [
        ['json', 'JSON'],
        ['text', 'a text'],
        ['buffer', 'a buffer'],
        ['chunks', 'a body in chunks'],
        ['head', 'a head that the handler wrote itself'],
        ['empty', 'an empty body'],
        ['nothing', 'a 204 without a body'],
        ['redirect', 'a redirection'],
        ['file', 'a file'],
        ['cookie', 'a response that sets a cookie, less the cookie,'],
        ['missing', 'a 404'],
      ] as const) {
        it(`${what} is replayed as it went out`, async () => {
          runs = 0
          const ask = { headers: { authorization: 'Bearer somebody' } }
          const first = await server.ask(`/${path}`, ask)
          const second = await server.ask(`/${path}`, ask)
          expect(runs).to.equal(1)
          expect([second.status, second.body]).to.deep.equal([first.status, first.body])
          const kept = Object.fromEntries(Object.entries(first.headers).filter(([header]) => isLasting(header)))
          expect(second.headers).to.deep.include(kept)
          expect(second.headers['x-outside']).to.equal('1')
          expect(second.headers['set-cookie']).to.equal(undefined)
          expect(second.bytes.equals(first.bytes)).to.equal(true)
          if (path !== 'nothing') expect(second.headers['content-length']).to.equal(String(first.bytes.length))
        })
      }

      it("a follower's own conditions are answered from the record", async () => {
        const first = await server.ask('/json', { headers: { 'if-none-match': '"other"' } })
        const etag = String(first.headers.etag)
        const unchanged = await server.ask('/json', { headers: { 'if-none-match': etag } })
        // Express computes an ETag for 201, too, but only a 200 is conditional.
        expect(unchanged.status).to.equal(201)
        const text = await server.ask('/text')
        const again = await server.ask('/text', { headers: { 'if-none-match': String(text.headers.etag) } })
        expect([again.status, again.body]).to.deep.equal([304, ''])
      })

      for (const path of ['json', 'buffer'])
        it(`${path}, where an app runs without a server, on a socket that is made up and minds no encoding`, async () => {
          runs = 0
          const url = `/${path}?${randomUUID()}`
          const first = await answerWithoutServer(listener, url)
          const second = await answerWithoutServer(listener, url)
          expect(runs).to.equal(1)
          expect(second.toString('latin1')).to.equal(first.toString('latin1'))
        })
    })
  }
}

/** Takes the body from the response as serverless-http and similar tools do. */
function answerWithoutServer(
  listener: (req: IncomingMessage, res: ServerResponse) => void,
  url: string,
): Promise<Buffer> {
  const headers = { host: 'made-up', authorization: 'Bearer somebody' }
  const req = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url, headers, complete: true })
  const res = new ServerResponse(req)
  const written: Buffer[] = []
  const write = (data: string | Uint8Array, ...others: unknown[]): boolean => {
    written.push(Buffer.from(data as string))
    for (const done of others) if (typeof done === 'function') done()
    return true
  }
  const nothing = (): void => {}
  const socket = { write, on: nothing, removeListener: nothing, cork: nothing, uncork: nothing, destroy: nothing }
  res.assignSocket(Object.assign(socket, { _writableState: {}, writable: true }) as never)
  return new Promise(resolve => {
    res.once('finish', () => {
      const wire = Buffer.concat(written)
      resolve(wire.subarray(wire.indexOf('\r\n\r\n') + 4))
    })
    listener(req, res)
  })
}
