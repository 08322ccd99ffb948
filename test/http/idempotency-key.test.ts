// Idempotency-Key as draft-ietf-httpapi-idempotency-key-header-07 has it; docs/idempotency-key.md names these tests.

import { type DspinlockOptions, dspinlock, idempotencyPolicy } from '@dspinlock/express'
import { expect } from 'chai'
import type { Express } from 'express'
import { type Answer, type Ask, frameworks, Gate, json, serve, type TestServer, until } from '../support/http.js'

for (const { name, express } of frameworks) {
  describe(`Idempotency-Key on ${name}`, () => {
    let runs = 0
    let status = 201
    let gate = new Gate()
    const servers: TestServer[] = []
    let required: TestServer
    let optional: TestServer

    const makeApp = (options: DspinlockOptions, first?: (app: Express) => void): Express => {
      const app = express()
      first?.(app)
      app.use(dspinlock({ idempotencyKey: 'required', ...options }))
      app.all(['/pay', '/refund'], (req, res, next) => {
        runs++
        gate.opened.then(
          () => res.status(status).vary('Accept-Language').json({ run: runs, role: req.dspinlock?.role }),
          next,
        )
      })
      return app
    }
    const start = async (options: DspinlockOptions, first?: (app: Express) => void): Promise<TestServer> => {
      const server = await serve(makeApp(options, first))
      servers.push(server)
      return server
    }
    const pay = (key: string | undefined, body: unknown = { amount: 1 }, headers: Record<string, string> = {}): Ask =>
      json(body, { host: 'shop', ...(key === undefined ? {} : { 'idempotency-key': key }), ...headers })
    const codeOf = (answer: Answer): unknown => (JSON.parse(answer.body) as { code?: unknown }).code

    before(async () => {
      required = await start({ idempotencyKey: { required: true, docsUrl: 'https://docs.test/idempotency' } })
      optional = await start({ idempotencyKey: 'optional' })
    })
    beforeEach(() => {
      runs = 0
      status = 201
      gate = new Gate()
      gate.open()
    })
    after(() => Promise.all(servers.map(server => server.stop())))

    it('a first request is processed; its retry gets the same answer, marked as a replay', async () => {
      const first = await required.ask('/pay', pay('"retry"'))
      const retry = await required.ask('/pay', pay('"retry"'))
      expect([first.status, first.headers['idempotent-replayed']]).to.deep.equal([201, undefined])
      expect([retry.status, retry.body, retry.headers['idempotent-replayed']]).to.deep.equal([201, first.body, 'true'])
      expect(runs).to.equal(1)
    })

    it('a bare key is the same key, and with `strict` it is none', async () => {
      await required.ask('/pay', pay('"bare-1"'))
      expect((await required.ask('/pay', pay('bare-1'))).headers['idempotent-replayed']).to.equal('true')
      const all = "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"
      await required.ask('/pay', pay(all))
      expect((await required.ask('/pay', pay(`"${all}"`))).headers['idempotent-replayed']).to.equal('true')
      const strict = await start({ idempotencyKey: { required: true, strict: true } })
      expect(codeOf(await strict.ask('/pay', pay('bare-1')))).to.equal('key-invalid')
      expect((await strict.ask('/pay', pay('"bare-1"'))).status).to.equal(201)
    })

    it('missing though required is 400 with a link to the documentation; a safe method needs none', async () => {
      const refused = await required.ask('/pay', pay(undefined))
      expect([refused.status, codeOf(refused)]).to.deep.equal([400, 'key-missing'])
      expect(refused.headers['content-type']).to.equal('application/problem+json')
      expect(refused.headers.link).to.equal('<https://docs.test/idempotency>; rel="describedby"')
      expect(runs).to.equal(0)
      expect((await required.ask('/pay')).status).to.equal(201)
      const guarded = await start({ idempotencyKey: 'required', methods: ['GET', 'POST'] })
      expect([(await guarded.ask('/pay')).status, (await guarded.ask('/pay', pay(undefined))).status]).to.deep.equal([
        201, 400,
      ])
    })

    it('missing where it is optional: not guarded', async () => {
      const answers = [await optional.ask('/pay', pay(undefined)), await optional.ask('/pay', pay(undefined))]
      expect(answers.map(answer => answer.status)).to.deep.equal([201, 201])
      expect(runs).to.equal(2)
      expect((JSON.parse(answers[0]?.body ?? '') as { role?: string }).role).to.equal(undefined)
    })

    for (const [what, key] of [
      ['empty', '""'],
      ['nothing', ''],
      ['two in one header', '"a", "b"'],
      ['two bare ones', 'a, b'],
      ['two bare ones without a space', 'a,b'],
      ['a bare one with a parameter', 'a;b'],
      ['a bare one with a backslash', 'a\\b'],
      ['an open string', '"a'],
      ['a list', '("a")'],
      ['bytes', ':YQ==:"'],
      ['too long', 'x'.repeat(256)],
    ] as const) {
      it(`${what} is 400, also where a key is optional`, async () => {
        const answer = await optional.ask('/pay', pay(key))
        expect([answer.status, codeOf(answer), runs]).to.deep.equal([400, 'key-invalid', 0])
      })
    }

    it('length and pattern are the team’s to say', async () => {
      const server = await start({
        idempotencyKey: { required: true, minLength: 8, maxLength: 10, pattern: /^[a-f\d]+$/ },
      })
      const statuses = await Promise.all(
        ['abcdef1', 'abcdef12', '"abcdef1234"', 'abcdef12345', 'ABCDEF12'].map(
          async key => (await server.ask('/pay', pay(key))).status,
        ),
      )
      expect(statuses).to.deep.equal([400, 201, 201, 400, 400])
    })

    it('another payload under the same key is 422, after the first one and while it is in flight', async () => {
      gate = new Gate()
      const first = required.ask('/pay', pay('"payload"'))
      await until(() => runs === 1, 'it runs')
      const inFlight = await required.ask('/pay', pay('"payload"', { amount: 2 }))
      gate.open()
      await first
      const after = await required.ask('/pay', pay('"payload"', { amount: 2 }))
      const query = await required.ask('/pay?express=1', pay('"payload"'))
      for (const answer of [inFlight, after, query]) {
        expect([answer.status, codeOf(answer)]).to.deep.equal([422, 'mismatch'])
        expect(answer.headers['content-type']).to.equal('application/problem+json')
        expect(answer.headers.link).to.equal('<https://docs.test/idempotency>; rel="describedby"')
      }
      expect(runs).to.equal(1)
      expect((await required.ask('/pay', pay('"payload"'))).status).to.equal(201)
    })

    it('while the first is in flight a retry waits for its answer, or with whileInFlight is 409 with Retry-After', async () => {
      const rejecting = await start({
        whileInFlight: 'reject',
        idempotencyKey: { required: true, docsUrl: 'https://docs.test/409' },
      })
      for (const server of [required, rejecting]) {
        runs = 0
        gate = new Gate()
        const first = server.ask('/pay', pay('"flight"'))
        await until(() => runs === 1, 'it runs')
        const retry = server.ask('/pay', pay('"flight"'))
        if (server === rejecting) {
          const refused = await retry
          expect([refused.status, codeOf(refused), refused.headers['retry-after']]).to.deep.equal([
            409,
            'in-flight',
            '1',
          ])
          expect(refused.headers['content-type']).to.equal('application/problem+json')
          expect(refused.headers.link).to.equal('<https://docs.test/409>; rel="describedby"')
        }
        gate.open()
        const body = (await first).body
        if (server === required) expect((await retry).body).to.equal(body)
        expect((await server.ask('/pay', pay('"flight"'))).body).to.equal(body)
        expect(runs).to.equal(1)
      }
    })

    it('belongs to who sent it, and to method, path and host', async () => {
      const others: [string, Ask][] = [
        ['/pay', pay('"mine"', { amount: 1 }, { authorization: 'Bearer a' })],
        ['/pay', pay('"mine"', { amount: 1 }, { authorization: 'Bearer b' })],
        ['/pay', pay('"mine"', { amount: 1 }, { cookie: 'sid=a' })],
        ['/refund', pay('"mine"')],
        ['/pay', { ...pay('"mine"'), method: 'PUT' }],
        ['/pay', pay('"mine"', { amount: 1 }, { host: 'other' })],
      ]
      for (const [path, ask] of others) {
        const answer = await required.ask(path, ask)
        expect([answer.status, answer.headers['idempotent-replayed']]).to.deep.equal([201, undefined])
      }
      expect(runs).to.equal(others.length)
    })

    it('a header of another name is one where something in front renames it', async () => {
      const server = await start({}, app =>
        app.use((req, _res, next) => {
          req.headers['idempotency-key'] ??= req.headers['x-request-id']
          next()
        }),
      )
      const ask = async (path: string, body: unknown): Promise<number> =>
        (await server.ask(path, pay(undefined, body, { 'x-request-id': 'renamed' }))).status
      const statuses = [await ask('/pay', 1), await ask('/pay', 1), await ask('/pay', 2), await ask('/refund', 1)]
      expect([statuses, runs]).to.deep.equal([[201, 201, 422, 201], 2])
    })

    it('errors below 500 are answers; 500 and above run again, or are kept where asked', async () => {
      status = 402
      await required.ask('/pay', pay('"declined"'))
      expect((await required.ask('/pay', pay('"declined"'))).status).to.equal(402)
      expect(runs).to.equal(1)
      status = 503
      await required.ask('/pay', pay('"down"'))
      status = 201
      expect((await required.ask('/pay', pay('"down"'))).status).to.equal(201)
      const keeping = await start({ serverErrors: 'keep' })
      status = 503
      await keeping.ask('/pay', pay('"down"'))
      status = 201
      const kept = await keeping.ask('/pay', pay('"down"'))
      expect([kept.status, kept.headers['idempotent-replayed']]).to.deep.equal([503, 'true'])
    })

    it('where the connection times out while the first is in flight, a retry waits for its answer', async () => {
      gate = new Gate()
      const server = await start({}, app =>
        app.use((_req, res, next) => {
          if (runs === 0) res.setTimeout(20)
          next()
        }),
      )
      const first = await server.ask('/pay', pay('"timeout"')).catch((error: unknown) => error)
      expect(first).to.be.instanceOf(Error)
      expect(runs).to.equal(1)
      const retry = server.ask('/pay', pay('"timeout"'))
      gate.open()
      expect([(await retry).status, runs]).to.deep.equal([201, 1])
    })

    it('try again later (429) and its like are no answers: the retry runs', async () => {
      for (const refusal of [408, 425, 428, 429, 431]) {
        status = refusal
        await required.ask('/pay', pay(`"later ${refusal}"`))
        status = 201
        const retry = await required.ask('/pay', pay(`"later ${refusal}"`))
        expect([retry.status, retry.headers['idempotent-replayed']]).to.deep.equal([201, undefined])
      }
    })

    it('work that was given up because its client had left (499) is no answer: the retry runs, unless failures are kept', async () => {
      const keeping = await start({ serverErrors: 'keep' })
      for (const [server, expected] of [
        [required, 201],
        [keeping, 499],
      ] as const) {
        status = 499
        await server.ask('/pay', pay('"given up"'))
        status = 201
        expect((await server.ask('/pay', pay('"given up"'))).status).to.equal(expected)
      }
    })

    it('a retry that sends other headers by which the answer varies gets the answer all the same, unless all share and it may be another person’s', async () => {
      const vary = (app: Express): void => {
        app.use((req, res, next) => {
          if (req.headers.cookie !== undefined) res.vary('Cookie')
          next()
        })
      }
      for (const [identity, header, expected] of [
        [() => 'ann', 'cookie', 201],
        ['public', 'accept-language', 201],
        ['public', 'cookie', 409],
      ] as const) {
        const server = await start({ idempotencyKey: 'required', identity }, vary)
        await server.ask('/pay', pay('"varies"', {}, { [header]: 'a' }))
        expect((await server.ask('/pay', pay('"varies"', {}, { [header]: 'b' }))).status).to.equal(expected)
      }
    })

    it('after it has expired, a key is a new one', async () => {
      const server = await start({ ttlMs: 600 })
      await server.ask('/pay', pay('"short"'))
      expect((await server.ask('/pay', pay('"short"'))).headers['idempotent-replayed']).to.equal('true')
      const another = (): Promise<Answer> => server.ask('/pay', pay('"short"', { amount: 2 }))
      let later = await another()
      while (later.status === 422) later = await another()
      expect([later.status, later.headers['idempotent-replayed'], runs]).to.deep.equal([201, undefined, 2])
    })

    it('the order of a JSON body’s keys is no other payload once it is parsed', async () => {
      const server = await start({}, app => app.use(express.json()))
      await server.ask('/pay', pay('"order"', { a: 1, b: [{ c: 2, d: 3 }] }))
      const retry = await server.ask('/pay', pay('"order"', { b: [{ d: 3, c: 2 }], a: 1 }))
      expect([retry.status, runs]).to.deep.equal([201, 1])
    })

    it('`__proto__`, bigint and empty bodies under keys of their own never meet', async () => {
      const server = await start({}, app => {
        app.use(express.json())
        app.use((req, _res, next) => {
          const body = req.body as Record<string, unknown> | undefined
          if (typeof body?.['big'] === 'string') body['big'] = BigInt(body['big'])
          next()
        })
      })
      const bodies = ['{"__proto__":{"a":1}}', '{"__proto__":{"a":2}}', '{"big":"1"}', '{"big":"2"}', '{}', '[]', '']
      for (const [at, body] of bodies.entries()) {
        const ask = (key: string): Ask => ({ ...pay(key), body })
        expect((await server.ask('/pay', ask(`"own ${at}"`))).status).to.equal(201)
        expect((await server.ask('/pay', ask(`"own ${at}"`))).headers['idempotent-replayed']).to.equal('true')
        expect((await server.ask('/pay', ask('"one for all"'))).status, body).to.equal(at === 0 ? 201 : 422)
      }
    })

    it('a form with a file that is sent again has another boundary and is the same payload', async () => {
      const form = (boundary: string): Ask => ({
        method: 'POST',
        headers: {
          host: 'shop',
          'idempotency-key': '"form"',
          'content-type': `multipart/form-data; boundary=${boundary}`,
        },
        body: `--${boundary}\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\nbytes\r\n--${boundary}--\r\n`,
      })
      await required.ask('/pay', form('----WebKitFormBoundaryX1'))
      for (const boundary of ['----WebKitFormBoundaryX2', 'X3'])
        expect((await required.ask('/pay', form(boundary))).headers['idempotent-replayed']).to.equal('true')
    })

    it('a body too large to compare is refused, or where asked guarded by its key alone', async () => {
      const large = pay('"large"', 'x'.repeat(2_000))
      const refusing = await start({ maxBodyBytes: 1_000 })
      expect(codeOf(await refusing.ask('/pay', large))).to.equal('too-large')
      const passing = await start({ maxBodyBytes: 1_000, oversize: 'pass' })
      const [first, retry] = [await passing.ask('/pay', large), await passing.ask('/pay', large)]
      expect([first.status, retry.headers['idempotent-replayed'], runs]).to.deep.equal([201, 'true', 1])
    })

    it('a retry in another language does not run again', async () => {
      await required.ask('/pay', pay('"language"', {}, { 'accept-language': 'de' }))
      await required.ask('/pay', pay('"language"', {}, { 'accept-language': 'en' }))
      expect(runs).to.equal(1)
    })
  })
}

describe('the policy for Idempotency-Key', () => {
  it('says what the options come to, for programs and for people', () => {
    const policy = idempotencyPolicy({
      idempotencyKey: { required: true, maxLength: 40 },
      whileInFlight: 'reject',
      ttlMs: 60_000,
    })
    expect(policy).to.deep.include({
      header: 'Idempotency-Key',
      required: true,
      maxLength: 40,
      whileInFlight: 'reject',
      expiresAfterSeconds: 60,
      strict: false,
    })
    expect(policy.text).to.contain('must carry an Idempotency-Key').and.contain('for 60 seconds')
    const again = 'after 408, 425, 428, 429, 431'
    expect(policy.text).to.contain(`${again} and 499 or above it is carried out again`)
    const kept = idempotencyPolicy({ idempotencyKey: 'optional', serverErrors: 'keep' })
    expect(kept.text).to.contain(`${again} it is carried out again`)
    expect(JSON.parse(JSON.stringify(policy))).to.have.property('text', policy.text)
    expect(idempotencyPolicy({ idempotencyKey: 'optional' })).to.deep.include({
      required: false,
      expiresAfterSeconds: 86_400,
    })
    expect(() => idempotencyPolicy({})).to.throw(TypeError, /idempotencyKey/)
    const rules = {
      minLength: 8,
      maxLength: 8,
      strict: true,
      pattern: /^[a-f]+$/,
      docsUrl: 'HTTPS://docs.test/?of=keys',
    }
    const all = idempotencyPolicy({ idempotencyKey: rules, ttlMs: 1_500 })
    expect(all).to.deep.include({ ...rules, pattern: '^[a-f]+$', whileInFlight: 'wait', repeatsServerErrors: false })
    expect(all.text).to.equal(
      'Requests that change something may carry an Idempotency-Key: a string in double quotes of 8 to 8 characters, matching ^[a-f]+$, such as a UUID: ' +
        'a new one for each operation, the same for its retries. A retry gets the first answer, marked by Idempotent-Replayed: true, for 1.5 seconds; ' +
        `${again} and 499 or above it is carried out again. While the first request is under way, a retry waits. ` +
        'A key with another payload gets 422, a malformed key 400. More: HTTPS://docs.test/?of=keys',
    )
    expect(policy.text)
      .to.contain(
        'a retry gets 409 with Retry-After. A key with another payload gets 422, a malformed or missing key 400.',
      )
      .and.contain(': a string, in double quotes or not, of 1 to 40 characters, such as')
      .and.match(/400\.$/)
  })

  const wrong: readonly [object, RegExp][] = [
    [{ idempotencyKey: 'always' }, /idempotencyKey must be 'optional', 'required' or an object.*"always"/],
    [{ idempotencyKey: { max: 1 } }, /unknown option "max" for idempotencyKey/],
    [{ idempotencyKey: { minLength: 9, maxLength: 8 } }, /minLength must be at most maxLength \(8\)/],
    [{ idempotencyKey: { pattern: /a/g } }, /pattern must be a regular expression without/],
    [{ idempotencyKey: { pattern: /a/y } }, /pattern must be a regular expression without/],
    [{ idempotencyKey: null }, /idempotencyKey must be .* an object/],
    [{ idempotencyKey: ['optional'] }, /idempotencyKey must be .* an object/],
    [{ idempotencyKey: { docsUrl: 'docs' } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: ['https://docs.test/'] } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: 'ftp://docs.test/' } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: 'https://[docs' } }, /docsUrl must be an http/],
    // It would end the field's link, or its line, early.
    [{ idempotencyKey: { docsUrl: 'https://docs.test/>; rel="a"' } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: 'https://docs.test/<' } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: 'https://docs.test/a b' } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: 'https://docs.test/\u00e4' } }, /docsUrl must be an http/],
    [{ idempotencyKey: { docsUrl: ' https://docs.test/' } }, /docsUrl must be an http/],
    [{ idempotencyKey: 'required', duplicates: 'reject' }, /duplicates must be 'replay'.*idempotencyKey/],
    [{ idempotencyKey: 'required', duplicates: 'serialise' }, /duplicates must be 'replay'.*received "serialise"/],
    [{ idempotencyKey: 'required', key: () => 'k' }, /key must be left out/],
  ]
  for (const [options, message] of wrong) {
    it(`${JSON.stringify(options)} is a TypeError at start`, () => {
      expect(() => dspinlock(options)).to.throw(TypeError, message)
    })
  }
})
