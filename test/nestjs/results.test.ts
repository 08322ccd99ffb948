// A replay is what the first client got, whatever the handler returned.

import { createReadStream, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Dspinlock, DspinlockModule, memoryStore, type Store } from '@dspinlock/nestjs'
import { redisStore } from '@dspinlock/redis'
import {
  ClassSerializerInterceptor,
  Controller,
  Get,
  Header,
  HttpCode,
  type INestApplication,
  Post,
  Redirect,
  Render,
  Res,
  StreamableFile,
} from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { expect } from 'chai'
import { from, of } from 'rxjs'
import type { Answer } from '../support/http.js'
import { type NestServer, nestMajor, type Platform, platforms, startNest } from '../support/nest.js'
import { redisUrl } from '../support/redis.js'

const file = join(mkdtempSync(join(tmpdir(), 'dspinlock-file-')), 'file.txt')
writeFileSync(file, 'contents of the file\n'.repeat(5_000))

let files = 0

@Controller('files')
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class FilesController {
  @Get('late') late(): StreamableFile {
    return new StreamableFile(createReadStream(++files === 1 ? `${file}.not-yet` : file))
  }
  @Post('late') post(): StreamableFile {
    return this.late()
  }
  @Get('broken') broken(): StreamableFile {
    const parts = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.from('contents')
      await turn()
      if (++files === 1) throw new Error('the disk is gone')
      yield Buffer.from(' of the file')
    }
    return new StreamableFile(Readable.from(parts()))
  }
}

/** What the responses of both platforms have in common. */
interface AnyResponse {
  status(code: number): this
  send(body: unknown): void
}

let runs = 0

@Controller()
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class ResultsController {
  @Get('object') object(): object {
    runs++
    return { a: [1, null, 'ü'] }
  }
  @Post('created') created(): object {
    runs++
    return { created: true }
  }
  @Get('string') string(): string {
    runs++
    return 'text'
  }
  @Get('number') number(): number {
    runs++
    return 42
  }
  @Get('buffer') buffer(): StreamableFile {
    runs++
    return new StreamableFile(Buffer.from([0, 1, 2, 250, 255]))
  }
  @Get('plain-buffer') plainBuffer(): Buffer {
    runs++
    return Buffer.from([0, 1, 2, 250, 255])
  }
  @Get('null') null(): null {
    runs++
    return null
  }
  @Get('void') void(): void {
    runs++
  }
  @Get('promise') async promise(): Promise<object> {
    runs++
    return { later: await Promise.resolve(1) }
  }
  @Get('observable') observable(): unknown {
    runs++
    return of({ last: false }, { last: true })
  }
  @Get('promised-observable') async promisedObservable(): Promise<unknown> {
    runs++
    return from(Promise.resolve({ from: 'promise' }))
  }
  @Get('file') file(): StreamableFile {
    runs++
    return new StreamableFile(createReadStream(file), { type: 'text/plain', disposition: 'attachment; filename="f"' })
  }
  @Get('res') res(@Res() res: AnyResponse): void {
    runs++
    setImmediate(() => res.status(203).send({ by: 'hand' }))
  }
  @Get('passthrough') passthrough(@Res({ passthrough: true }) res: AnyResponse): object {
    runs++
    res.status(202)
    return { passed: 'through' }
  }
  @Get('code') @HttpCode(206 + 1) code(): object {
    runs++
    return { code: true }
  }
  @Post('no-content') @HttpCode(204) noContent(): void {
    runs++
  }
  @Get('header') @Header('X-Fixed', 'yes') @Header('Cache-Control', 'max-age=5') header(): string {
    runs++
    return 'with headers'
  }
  @Get('redirect') @Redirect('/elsewhere', 301) redirect(): void {
    runs++
  }
  @Get('redirect-to') @Redirect('/elsewhere') redirectTo(): object {
    runs++
    return { url: '/another', statusCode: 307 }
  }
  @Get('render') @Render('view.txt') render(): object {
    runs++
    return { who: 'me' }
  }
  @Get('generator') async *generator(): AsyncGenerator<string> {
    runs++
    yield 'one '
    await Promise.resolve()
    yield 'two'
  }
  @Get('web-response') webResponse(): unknown {
    runs++
    return new Response('from the web', { status: 203, headers: { 'x-web': 'yes', 'content-type': 'text/x-web' } })
  }
}

/** No template engine is needed to see who calls it, and how often. */
function setViews(app: INestApplication, { kind }: Platform): void {
  const view = (name: string, data: object): string => `<${name.split('/').at(-1)} ${JSON.stringify(data)}>`
  const instance = app.getHttpAdapter().getInstance() as Record<string, (...args: unknown[]) => unknown>
  if (kind === 'fastify') {
    instance['decorateReply']?.('view', function (this: AnyResponse, name: string, data: object) {
      return this.send(view(name, data))
    })
    return
  }
  const views = mkdtempSync(join(tmpdir(), 'dspinlock-views-'))
  writeFileSync(join(views, 'view.txt'), '')
  instance['set']?.('views', views)
  instance['engine']?.('txt', (path: string, { who }: { who: string }, done: (error: null, text: string) => void) => {
    done(null, view(path, { who }))
  })
}

const stores: readonly [string, () => Store][] = [
  ['memory', () => memoryStore()],
  ['Redis', () => redisStore(redisUrl(), { prefix: `nest-results-${process.pid}-${Math.random()}` })],
]

const volatile = ['date', 'age', 'cache-status', 'content-length', 'transfer-encoding', 'connection', 'keep-alive']

function lasting({ headers }: Answer): object {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !volatile.includes(name)))
}

for (const platform of platforms) {
  for (const [storeName, makeStore] of stores) {
    describe(`results on ${platform.name} and ${storeName}`, () => {
      let server: NestServer

      before(async () => {
        server = await startNest(
          platform,
          { imports: [DspinlockModule.forRoot({ store: makeStore() })], controllers: [ResultsController] },
          app => setViews(app, platform),
        )
      })
      beforeEach(() => {
        runs = 0
      })
      after(() => server.stop())

      const paths: Record<string, { method?: string; status?: number; body?: string; type?: string }> = {
        object: { body: '{"a":[1,null,"ü"]}', type: 'application/json' },
        created: { method: 'POST', status: 201, body: '{"created":true}' },
        string: { body: 'text' },
        number: { body: '42' },
        buffer: { type: 'application/octet-stream' },
        'plain-buffer': {},
        null: {},
        void: { body: '' },
        promise: { body: '{"later":1}' },
        observable: { body: '{"last":true}' },
        'promised-observable': { body: '{"from":"promise"}' },
        file: { type: 'text/plain' },
        res: { status: 203, body: '{"by":"hand"}' },
        passthrough: { status: 202, body: '{"passed":"through"}' },
        code: { status: 207, body: '{"code":true}' },
        'no-content': { method: 'POST', status: 204, body: '' },
        header: { body: 'with headers' },
        redirect: { status: 301 },
        'redirect-to': { status: 307 },
        render: { body: '<view.txt {"who":"me"}>' },
        // Nest 11 does not know these two.
        ...(nestMajor < 12
          ? {}
          : {
              generator: { body: 'one two' },
              'web-response': { status: 203, body: 'from the web', type: 'text/x-web' },
            }),
      }
      for (const [path, { method = 'GET', status = 200, body, type }] of Object.entries(paths)) {
        it(path, async () => {
          const first = await server.ask(`/${path}`, { method })
          const second = await server.ask(`/${path}`, { method })
          expect([first.status, second.status]).to.deep.equal([status, status])
          if (body !== undefined) expect(first.body).to.equal(body)
          if (type !== undefined) expect(first.headers['content-type']).to.match(new RegExp(`^${type}`))
          expect(first.headers['cache-status']).to.equal(undefined)
          expect(second.headers['cache-status']).to.equal('dspinlock; hit')
          expect(second.bytes.equals(first.bytes)).to.equal(true)
          expect(lasting(second)).to.deep.equal(lasting(first))
          expect(runs).to.equal(1)
        })
      }

      it('duplicates in flight get one answer, and the connection goes on after it', async () => {
        const answers = await Promise.all(Array.from({ length: 20 }, () => server.ask('/render?burst')))
        expect(runs).to.equal(1)
        expect(new Set(answers.map(answer => `${answer.status} ${answer.body}`)).size).to.equal(1)
      })
    })
  }
  it(`a file that cannot be opened, or breaks off, is no answer to keep, on ${platform.name}`, async () => {
    const server = await startNest(platform, { imports: [DspinlockModule.forRoot()], controllers: [FilesController] })
    for (const [path, whole] of [
      ['late', /^contents of the file\n/],
      ['broken', /^contents of the file$/],
    ] as const) {
      files = 0
      // Versions of Nest differ in whether the client is told. What is asked for next runs for itself.
      await server.ask(`/files/${path}`).catch(() => {})
      for (let n = 0; n < 2; n++) expect((await server.ask(`/files/${path}`)).body).to.match(whole)
    }
    files = 0
    const post = { method: 'POST', headers: { host: 'h' } }
    await server.ask('/files/late', post)
    const { status, body } = await server.ask('/files/late', post)
    // Fastify answers 500, after which the next one runs.
    expect([status, files]).to.deep.equal(platform.kind === 'express' ? [409, 1] : [201, 2])
    expect(body).to.contain(platform.kind === 'express' ? '"not-kept"' : 'contents of the file')
    await server.stop()
  })
  if (nestMajor < 12) continue
  it(`a generator that an interceptor maps does not make Node warn of a leak, on ${platform.name}`, async () => {
    const server = await startNest(platform, {
      imports: [DspinlockModule.forRoot()],
      controllers: [ResultsController],
      providers: [{ provide: APP_INTERCEPTOR, useClass: ClassSerializerInterceptor }],
    })
    const warnings: string[] = []
    const note = ({ message }: Error): unknown => warnings.push(message)
    process.on('warning', note)
    expect((await server.ask('/generator')).body).to.equal('one two')
    await server.stop()
    process.removeListener('warning', note)
    expect(warnings).to.deep.equal([])
  })
}
