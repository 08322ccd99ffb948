// Nobody gets a response that was made for somebody else, neither from a record nor by waiting for it.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http'
import { createServer, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import { type DspinlockOptions, dspinlock } from '@dspinlock/express'
import { expect } from 'chai'
import cookieSession from 'cookie-session'
import type { Express, Request, RequestHandler } from 'express'
import expressSession from 'express-session'
import { type Ask, frameworks, Gate, json, serve, type TestServer, until } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`another user’s response on ${name}`, () => {
    const servers: TestServer[] = []
    let runs = 0
    let gate = new Gate()
    beforeEach(() => {
      runs = 0
      gate = new Gate()
      gate.open()
    })
    after(() => Promise.all(servers.map(server => server.stop())))

    /** A handler that tells each client who it is, by `whoIs`. */
    const start = async (
      options: DspinlockOptions,
      whoIs: (req: Request) => unknown,
      before: (app: Express) => void = () => {},
    ): Promise<{ readonly server: TestServer; readonly waiters: () => number }> => {
      const app = express()
      before(app)
      const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000, ...options })
      const handler: RequestHandler = (req, res, next) => {
        runs++
        const who = String(whoIs(req))
        gate.opened.then(() => res.send(`hello ${who}`), next)
      }
      app.get('/me', guard, handler)
      app.post('/me', guard, handler)
      const server = await serve(app)
      servers.push(server)
      return { server, waiters: () => guard.engine.waiters }
    }

    /** Everybody asks at the same time, and then once more; each must be told their own name. */
    const askAll = async (server: TestServer, people: readonly (readonly [who: string, ask: Ask])[]): Promise<void> => {
      gate = new Gate()
      const together = people.map(([, ask]) => server.ask('/me', ask))
      await until(() => runs === people.length, 'nobody waits for somebody else')
      gate.open()
      const later = await Promise.all([...together, ...people.map(([, ask]) => server.ask('/me', ask))])
      expect(later.map(({ body }) => body)).to.deep.equal([...people, ...people].map(([who]) => `hello ${who}`))
      expect(runs, 'later ones come from records').to.equal(people.length)
    }

    for (const method of ['GET', 'POST']) {
      it(`${method}: by Authorization and Cookie, each alone and together, empty and missing`, async () => {
        const { server } = await start({}, req => `${req.get('authorization')}/${req.get('cookie')}`)
        const as = (headers: Record<string, string>): Ask => ({ method, headers: { host: 'h', ...headers } })
        await askAll(server, [
          ['undefined/undefined', as({})],
          ['/undefined', as({ authorization: '' })],
          ['a/undefined', as({ authorization: 'a' })],
          ['b/undefined', as({ authorization: 'b' })],
          ['undefined/a', as({ cookie: 'a' })],
          ['a/a', as({ authorization: 'a', cookie: 'a' })],
          ['A/a', as({ authorization: 'A', cookie: 'a' })],
        ])
      })
    }

    it('by the headers in which API keys, tokens and the names that a proxy vouches for usually come', async () => {
      // All that the page about security promises.
      const page = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8')
      const [, listed = ''] = /^## Who asks\n\n(.*?)\n\n/ms.exec(page) ?? []
      const headers = Array.from(listed.matchAll(/`([A-Z][\w-]+)`/g), ([, header = '']) => header.toLowerCase())
      expect(headers).to.include.members(['cookie', 'x-api-key', 'x-ssl-client-cert'])
      const { server } = await start({}, req =>
        String(headers.map(header => req.get(header)).find(value => value !== undefined)),
      )
      await askAll(
        server,
        headers.flatMap(header =>
          ['a', 'b'].map(
            who => [`${header} ${who}`, { headers: { host: 'h', [header]: `${header} ${who}` } }] as const,
          ),
        ),
      )
    })

    it('by a session, also where it changes hands under the same cookie', async () => {
      const sessions = new Map([
        ['s1', 'ann'],
        ['s2', 'bob'],
      ])
      const userOf = (req: Request): string | undefined => sessions.get(req.get('cookie') ?? '')
      const { server } = await start({ identity: userOf }, userOf)
      const me = async (cookie: string): Promise<string> =>
        (await server.ask('/me', { headers: { host: 'h', cookie } })).body
      expect([await me('s1'), await me('s2'), await me('s1')]).to.deep.equal(['hello ann', 'hello bob', 'hello ann'])
      sessions.set('s1', 'bob')
      expect(await me('s1')).to.equal('hello bob')
      sessions.delete('s1')
      expect(await me('s1')).to.equal('hello undefined')
    })

    it('by an identity of the application’s own, which may be a promise', async () => {
      const { server } = await start({ identity: req => Promise.resolve(req.get('x-user')) }, req => req.get('x-user'))
      await askAll(server, [
        ['ann', { headers: { host: 'h', 'x-user': 'ann' } }],
        ['bob', { headers: { host: 'h', 'x-user': 'bob' } }],
        ['undefined', { headers: { host: 'h' } }],
      ])
    })

    it('an identity of the application’s own stands in place of all headers: whatever it does not tell apart is shared', async () => {
      const { server } = await start({ identity: req => req.get('x-user') }, req => req.get('x-tenant-id'))
      const me = async (headers: Record<string, string>): Promise<string> =>
        (await server.ask('/me', { headers: { host: 'h', ...headers } })).body
      const user = { 'x-user': '7' }
      expect(await me({ ...user, 'x-tenant-id': 'one' })).to.equal('hello one')
      expect(await me({ ...user, 'x-tenant-id': 'two' })).to.equal('hello one')
      const whole = await start({ identity: req => `${req.get('x-tenant-id')} ${req.get('x-user')}` }, req =>
        req.get('x-tenant-id'),
      )
      for (const tenant of ['one', 'two']) {
        const { body } = await whole.server.ask('/me', { headers: { host: 'h', ...user, 'x-tenant-id': tenant } })
        expect(body).to.equal(`hello ${tenant}`)
      }
    })

    it('where an identity of the application’s own finds nobody, as in front of authentication, credentials tell users apart', async () => {
      const { server } = await start(
        { identity: () => undefined },
        req => `${req.get('authorization')}/${req.get('cookie')}`,
      )
      await askAll(server, [
        ['ann/undefined', { headers: { host: 'h', authorization: 'ann' } }],
        ['bob/undefined', { headers: { host: 'h', authorization: 'bob' } }],
        ['undefined/carol', { headers: { host: 'h', cookie: 'carol' } }],
        ['undefined/undefined', { headers: { host: 'h' } }],
      ])
    })

    it('an identity or a key that is no string is an error, and never the same for everybody', async () => {
      for (const wrong of [{ id: 1 }, 7, null, ['a'], Symbol('a'), true]) {
        for (const option of ['identity', 'key']) {
          const { server } = await start(
            { [option]: () => wrong } as object,
            () => 'somebody',
            app => {
              app.set('env', 'test')
            },
          )
          const answer = await server.ask('/me')
          expect([answer.status, answer.body.includes('hello')], `${option} of type ${typeof wrong}`).to.deep.equal([
            500,
            false,
          ])
          expect(answer.body).to.contain(`option ${option} must return a string`)
        }
      }
      expect(runs).to.equal(0)
    })

    it('a new anonymous visitor does not get what another one was given for keeps', async () => {
      let visits = 0
      const app = express()
      const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
      app.get('/form', guard, (_req, res) => {
        visits++
        res.set('Set-Cookie', `sid=${visits}`).send(`token of ${visits}`)
      })
      app.get('/own', guard, (_req, res) => {
        visits++
        res.set('Cache-Control', 'private').send(`for ${visits}`)
      })
      const identity = (): string => ''
      app.get('/nameless', dspinlock({ duplicates: 'replay', ttlMs: 60_000, identity }), (_req, res) => {
        visits++
        res.set('Cache-Control', 'private').send(`for ${visits}`)
      })
      app.post('/cart', guard, (_req, res) => {
        visits++
        res.set('Set-Cookie', `cart=${visits}`).send(`cart ${visits}`)
      })
      const server = await serve(app)
      servers.push(server)
      for (const path of ['/form', '/own', '/nameless']) {
        // This says whose data is asked for, but not which of the tenant's visitors asks.
        for (const header of ['host', 'x-tenant', 'x-tenant-id', 'x-account-id', 'x-org-id', 'x-organization-id']) {
          const ask = { headers: { [header]: 'acme' } }
          const bodies = [(await server.ask(path, ask)).body, (await server.ask(path, ask)).body]
          expect(new Set(bodies).size, `${path} ${header}`).to.equal(2)
        }
      }
      const carts = [await server.ask('/cart', json({})), await server.ask('/cart', json({}))]
      expect(carts.map(({ status }) => status)).to.deep.equal([200, 409])
      const signedIn = { cookie: 'sid=9' }
      const own = [await server.ask('/own', { headers: signedIn }), await server.ask('/own', { headers: signedIn })]
      expect(own[1]?.body).to.equal(own[0]?.body)
    })

    it('a new anonymous visitor does not get what another one was given with a session, a cookie or no-store by middleware in front', async () => {
      const inFront: Readonly<Record<string, RequestHandler>> = {
        'express-session': expressSession({ secret: 'x', resave: false, saveUninitialized: false }),
        'cookie-session': cookieSession({ secret: 'x' }),
        'a cookie': (_req, res, next) => {
          res.cookie('sid', runs)
          next()
        },
        'no-store': (_req, res, next) => {
          res.set('Cache-Control', 'no-store')
          next()
        },
      }
      for (const [what, middleware] of Object.entries(inFront)) {
        const visit = (req: Request): number => {
          const { session } = req as { session?: { visit?: number } }
          if (session) session.visit = runs
          return runs
        }
        const { server } = await start({}, visit, app => void app.use(middleware))
        const ask = (method: string, headers = {}): ReturnType<TestServer['ask']> =>
          server.ask('/me', { method, headers: { host: 'h', ...headers } })
        const bodies = [(await ask('GET')).body, (await ask('GET')).body]
        expect(new Set(bodies).size, what).to.equal(2)
        expect([(await ask('POST')).status, (await ask('POST')).status], what).to.deep.equal([200, 409])
        const known = { authorization: 'somebody' }
        expect((await ask('POST', known)).body, what).to.equal((await ask('POST', known)).body)
        const all = await start({ identity: 'public' }, visit, app => void app.use(middleware))
        const first = await all.server.ask('/me')
        expect((await all.server.ask('/me')).body, what).to.equal(first.body)
      }
    })

    it('who is refused for what may be their own fault keeps no other anonymous visitor from doing the same', async () => {
      for (const duplicates of ['replay', 'reject'] as const) {
        const { server } = await start(
          { duplicates },
          () => 'anybody',
          app => {
            app.use((req, res, next) => {
              if (req.get('x-csrf') === undefined) res.status(403)
              next()
            })
          },
        )
        const ask = async (headers: Record<string, string>): Promise<number> =>
          (await server.ask('/me', json({}, { host: 'h', ...headers }))).status
        const anonymous = [await ask({}), await ask({ 'x-csrf': 'token' }), await ask({ 'x-csrf': 'token' })]
        expect(anonymous, duplicates).to.deep.equal([403, 200, duplicates === 'replay' ? 200 : 409])
        // Whoever is known has had an answer, whatever it was.
        const known = { authorization: 'ann' }
        expect(await ask(known)).to.equal(403)
        expect(await ask({ ...known, 'x-csrf': 'token' }), duplicates).to.equal(duplicates === 'replay' ? 403 : 409)
      }
    })

    it('where all share, what says that it is not for all is not shared', async () => {
      const app = express()
      let made = 0
      app.get('/:how', dspinlock({ duplicates: 'replay', ttlMs: 60_000, identity: 'public' }), (req, res) => {
        made++
        const how = String(req.params['how'])
        const [header = '', value = ''] = decodeURIComponent(how).split('|')
        if (header === 'status') res.status(Number(value))
        else res.set(header, value)
        res.send(`made ${made}`)
      })
      const server = await serve(app)
      servers.push(server)
      for (const how of [
        'Set-Cookie|a=b',
        'Cache-Control|private',
        'Cache-Control|Private="x, y"',
        'Cache-Control|max-age=5 private',
        'Cache-Control|"private',
        'Cache-Control|private;max-age=1',
        'Cache-Control|max-age=1,\tNO-STORE',
        'Vary|*',
        'Vary|Accept, *',
        'Vary|Accept *',
        'Vary|"Accept"',
        'status|401',
        'status|403',
        'status|407',
        'status|400',
        'status|406',
        'status|429',
        'status|431',
      ]) {
        const path = `/${encodeURIComponent(how)}`
        const bodies = [(await server.ask(path)).body, (await server.ask(path)).body]
        expect(bodies[0] === bodies[1], how).to.equal(false)
      }
      const ofAnotherName = ['x-private', 'unprivate', 'private-ish', 'privates'].map(name => `Cache-Control|${name}`)
      const forAll = [
        'Cache-Control|max-age=5',
        ...ofAnotherName,
        'X-A|private',
        'status|404',
        'status|410',
        'status|301',
      ]
      for (const how of forAll) {
        const path = `/${encodeURIComponent(how)}`
        expect((await server.ask(path)).body, how).to.equal((await server.ask(path)).body)
      }
    })

    it('where all share, Vary: Cookie and Vary: Authorization are heeded', async () => {
      const app = express()
      app.get('/me', dspinlock({ duplicates: 'replay', ttlMs: 60_000, identity: 'public' }), (req, res) => {
        res
          .vary('Cookie')
          .vary('Authorization')
          .send(`${req.get('cookie')}/${req.get('authorization')}`)
      })
      app.post(
        '/me',
        dspinlock({ identity: 'public', idempotencyKey: 'required' }),
        (req, res) => void res.vary('Cookie').send(String(req.get('cookie'))),
      )
      const server = await serve(app)
      servers.push(server)
      for (const headers of [
        { cookie: 'a' },
        { cookie: 'b' },
        { authorization: 'c' },
        { cookie: 'a', authorization: 'c' },
        {},
      ]) {
        const { cookie, authorization } = headers as Record<string, string>
        for (let n = 0; n < 2; n++)
          expect((await server.ask('/me', { headers })).body).to.equal(`${cookie}/${authorization}`)
      }
      const pay = (cookie: string) => server.ask('/me', json({}, { cookie, 'idempotency-key': 'k' }))
      expect([(await pay('a')).body, (await pay('a')).body, (await pay('b')).status]).to.deep.equal(['a', 'a', 409])
    })

    it('by what its response varies by, also where something further in has taken that away', async () => {
      const app = express()
      const users: (string | undefined)[] = []
      app.get('/me', dspinlock({ duplicates: 'replay', ttlMs: 60_000 }), (req, res) => {
        const user = req.get('x-ticket')
        delete req.headers['x-ticket']
        users.push(user)
        res.vary('X-Ticket').send(String(user))
      })
      const server = await serve(app)
      servers.push(server)
      for (const headers of [{ 'x-ticket': 'ann' }, {}, { 'x-ticket': 'ann' }, { 'x-ticket': 'bob' }, {}]) {
        expect((await server.ask('/me', { headers })).body).to.equal(String(headers['x-ticket']))
      }
      expect(users).to.deep.equal(['ann', undefined, 'bob'])
    })

    it('the Idempotency-Key of somebody else says nothing', async () => {
      const app = express()
      app.post(
        '/pay',
        dspinlock({ idempotencyKey: 'required' }),
        (req, res) => void res.send(`paid by ${req.get('authorization')}`),
      )
      const server = await serve(app)
      servers.push(server)
      const pay = async (authorization: string, amount = 1): Promise<[number, string, unknown]> => {
        const answer = await server.ask('/pay', json({ amount }, { authorization, 'idempotency-key': 'guessed' }))
        return [answer.status, answer.body, answer.headers['idempotent-replayed']]
      }
      expect(await pay('ann')).to.deep.equal([200, 'paid by ann', undefined])
      // Not even the existence of such a key is revealed: otherwise another payload would get a 422.
      expect(await pay('eve', 2)).to.deep.equal([200, 'paid by eve', undefined])
      expect(await pay('ann')).to.deep.equal([200, 'paid by ann', 'true'])
    })

    it('the first of two Authorization headers counts, for us as for the handler; of cookies all do', async () => {
      const { server } = await start({}, req => `${req.get('authorization')}/${req.get('cookie')}`)
      const dial = async (...lines: string[]): Promise<string> => {
        const socket = await server.dial(
          ['GET /me HTTP/1.1', 'Host: h', 'Connection: close', ...lines, '', ''].join('\r\n'),
        )
        return (await text(socket)).split('\r\n\r\n')[1] ?? ''
      }
      expect(await dial('Authorization: a', 'Authorization: b')).to.equal('hello a/undefined')
      expect(await dial('Authorization: b', 'Authorization: a')).to.equal('hello b/undefined')
      expect(await dial('Cookie: a', 'Cookie: b')).to.equal('hello undefined/a; b')
      expect(await dial('Cookie: b', 'Cookie: a')).to.equal('hello undefined/b; a')
      expect(await dial('Cookie: a')).to.equal('hello undefined/a')
      expect(runs).to.equal(5)
    })

    it('a route mounted behind authentication is never answered before it, so that what was revoked stays out', async () => {
      const revoked = new Set<string>()
      const authenticate: RequestHandler = (req, res, next) => {
        if (revoked.has(req.get('authorization') ?? '')) res.status(401).send('revoked')
        else next()
      }
      const { server } = await start(
        {},
        req => req.get('authorization'),
        app => app.use(authenticate),
      )
      const ask = { headers: { authorization: 'ann' } }
      expect((await server.ask('/me', ask)).body).to.equal('hello ann')
      revoked.add('ann')
      expect((await server.ask('/me', ask)).status).to.equal(401)
    })
  })
}

describe('another user’s response over TLS', () => {
  const dir = mkdtempSync(join(tmpdir(), 'dspinlock-tls-'))
  after(() => rmSync(dir, { recursive: true }))
  const certify = (who: string): { key: Buffer; cert: Buffer } => {
    const [key, cert] = [join(dir, `${who}.key`), join(dir, `${who}.pem`)]
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        '-subj',
        `/CN=${who}`,
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { stdio: 'ignore' },
    )
    return { key: readFileSync(key), cert: readFileSync(cert) }
  }

  it('by the client’s certificate; and what is said to http is not said to https', async () => {
    const [{ express }] = frameworks as [(typeof frameworks)[number]]
    const app = express()
    const guard = dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
    app.get('/', guard, (req, res) => {
      const { authorized } = req.socket as TLSSocket
      if (!req.secure) return res.redirect(301, 'https://h/')
      const { subject } = (req.socket as TLSSocket).getPeerCertificate()
      return res.send(`${String(authorized)} ${String(subject?.CN)}`)
    })
    const [own, ann, bob] = [certify('localhost'), certify('ann'), certify('bob')]
    const tls = createServer(
      { ...own, requestCert: true, rejectUnauthorized: false, ca: [ann.cert, bob.cert] },
      app as never,
    )
    await once(tls.listen(0, '127.0.0.1'), 'listening')
    const plain = await serve(app)
    const answerTo = async (asked: ClientRequest): Promise<string> => {
      asked.end()
      const [incoming] = (await once(asked, 'response')) as [IncomingMessage]
      return `${incoming.statusCode} ${await text(incoming)}`
    }
    const options = {
      host: '127.0.0.1',
      port: (tls.address() as AddressInfo).port,
      headers: { host: 'h' },
      agent: false,
      ca: own.cert,
      rejectUnauthorized: false,
    } as const
    const ask = (identity: object) => answerTo(request({ ...options, ...identity }))
    expect(
      await answerTo(plainRequest({ host: '127.0.0.1', port: plain.port, headers: { host: 'h' }, agent: false })),
    ).to.match(/^301/)
    const answers = [await ask(ann), await ask(bob), await ask({}), await ask(ann)]
    expect(answers).to.deep.equal(['200 true ann', '200 true bob', '200 false undefined', '200 true ann'])
    await plain.stop()
    tls.close()
    await once(tls, 'close')
  })
})
