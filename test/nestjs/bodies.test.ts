// Bodies as the platform parsed them tell duplicates apart; uploads are handled inside and outside of dspinlock.

import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Dspinlock, DspinlockModule } from '@dspinlock/nestjs'
import {
  Body,
  type CallHandler,
  Controller,
  type ExecutionContext,
  type INestApplication,
  type NestInterceptor,
  Post,
  Query,
  UploadedFile,
  UseInterceptors,
  ValidationPipe,
} from '@nestjs/common'
import { FileInterceptor } from '@nestjs/platform-express'
import { expect } from 'chai'
import { IsInt } from 'class-validator'
import type { Observable } from 'rxjs'
import { type Ask, json } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

let runs = 0

class CreateDto {
  @IsInt() amount!: number
}

@Controller()
class BodiesController {
  @Post('body')
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  body(@Body() body: unknown, @Query() query: unknown): object {
    return { body, query, run: ++runs }
  }
  @Post('dto')
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  dto(@Body(new ValidationPipe({ transform: true, whitelist: true })) dto: CreateDto): object {
    return { dto, isDto: dto instanceof CreateDto, run: ++runs }
  }
  @Post('limited')
  @Dspinlock({ duplicates: 'replay', maxBodyBytes: 5, oversize: 'reject' })
  limited(@Body() body: unknown): object {
    return { body, run: ++runs }
  }
}

@Controller('upload')
class UploadController {
  @Post('inside')
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  @UseInterceptors(FileInterceptor('file'))
  inside(@UploadedFile() file: { buffer: Buffer }, @Body() body: unknown): object {
    return { file: file.buffer.toString(), body, run: ++runs }
  }
  @Post('outside')
  @UseInterceptors(FileInterceptor('file'))
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  outside(@UploadedFile() file: { buffer: Buffer }): object {
    return { file: file.buffer.toString(), run: ++runs }
  }
}

interface Uploading {
  readonly raw: Readable
  body?: unknown
  file?: unknown
}

/** Leaves on Fastify's request what the upload interceptors of `@nestjs/platform-fastify` leave there. */
class FastifyUpload implements NestInterceptor {
  async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    const request = context.switchToHttp().getRequest<Uploading>()
    const [, note, content] = (await text(request.raw)).split(/\r\n\r\n/).map(part => part.split('\r\n')[0])
    request.body = Object.assign(Object.create(null) as object, { note })
    const buffer = Buffer.from(content ?? '')
    const own = { fieldname: 'file', originalname: 'f.txt', mimetype: 'text/plain', size: buffer.length, buffer }
    Object.defineProperty(request, 'file', { value: own, configurable: true, enumerable: true, writable: true })
    return next.handle()
  }
}

@Controller('upload')
class FastifyUploadController {
  @Post('inside')
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  @UseInterceptors(FastifyUpload)
  inside(@UploadedFile() file: { buffer: Buffer }): object {
    return { file: file.buffer.toString(), run: ++runs }
  }
  @Post('outside')
  @UseInterceptors(FastifyUpload)
  @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
  outside(@UploadedFile() file: { buffer: Buffer }): object {
    return { file: file.buffer.toString(), run: ++runs }
  }
}

interface FastifyOfUploads {
  addContentTypeParser(type: string, parse: (request: unknown, payload: unknown, done: () => void) => void): void
  decorateRequest(name: string, value: unknown): void
}

/** What `@fastify/multipart` does: it leaves the body to be read later, by methods of the request. */
function acceptUploads(app: INestApplication): void {
  const fastify = app.getHttpAdapter().getInstance() as FastifyOfUploads
  fastify.addContentTypeParser('multipart/form-data', (_request, _payload, done) => done())
  for (const method of ['file', 'files']) fastify.decorateRequest(method, () => {})
}

const form = (body: string): Ask => ({
  method: 'POST',
  headers: { 'content-type': 'application/x-www-form-urlencoded' },
  body,
})

const upload = (content: string, boundary = 'b'): Ask => ({
  method: 'POST',
  headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
  body: [
    `--${boundary}\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n`,
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\n${content}\r\n`,
    `--${boundary}--\r\n`,
  ].join(''),
})

for (const platform of platforms) {
  describe(`bodies on ${platform.name}`, () => {
    let server: NestServer

    before(async () => {
      const isExpress = platform.kind === 'express'
      server = await startNest(
        platform,
        {
          imports: [DspinlockModule.forRoot()],
          controllers: [BodiesController, isExpress ? UploadController : FastifyUploadController],
        },
        app => (isExpress ? undefined : acceptUploads(app)),
      )
    })
    beforeEach(() => {
      runs = 0
    })
    after(() => server.stop())

    const run = async (path: string, ask: Ask): Promise<unknown> => {
      const answer = await server.ask(path, ask)
      expect(answer.status, answer.body).to.equal(201)
      return (JSON.parse(answer.body) as { run: unknown }).run
    }

    it('JSON: the order of names does not matter, everything else does', async () => {
      expect(await run('/body', json({ a: 1, b: [2] }))).to.equal(1)
      expect(await run('/body', json({ b: [2], a: 1 }))).to.equal(1)
      expect(await run('/body', json({ a: 1, b: ['2'] }))).to.equal(2)
      expect(await run('/body', json({}))).to.equal(3)
      expect(await run('/body?x=1&y=2', json({}))).to.equal(4)
      expect(await run('/body?y=2&x=1', json({}))).to.equal(4)
    })

    it('forms', async () => {
      expect(await run('/body', form('a=1&b=2'))).to.equal(1)
      expect(await run('/body', form('a=1&b=2'))).to.equal(1)
      expect(await run('/body', form('a=1&b=3'))).to.equal(2)
    })

    it('none at all, and one that no parser takes', async () => {
      expect(await run('/body', { method: 'POST' })).to.equal(1)
      expect(await run('/body', { method: 'POST' })).to.equal(1)
      if (platform.kind === 'fastify') return
      const own = { method: 'POST', headers: { 'content-type': 'text/x-own' }, body: 'text' }
      expect(await run('/body', own)).to.equal(2)
      expect(await run('/body', own)).to.equal(2)
      expect(await run('/body', { ...own, body: 'other' })).to.equal(3)
    })

    it('a DTO is validated and transformed inside', async () => {
      const [first, second] = [
        await server.ask('/dto', json({ amount: 1, extra: true })),
        await server.ask('/dto', json({ amount: 1, extra: true })),
      ]
      expect(JSON.parse(second.body)).to.deep.equal({ dto: { amount: 1 }, isDto: true, run: 1 })
      expect(first.body).to.equal(second.body)
      const refused = await server.ask('/dto', json({ amount: 'none' }))
      expect([refused.status, runs]).to.deep.equal([400, 1])
    })

    for (const path of ['/upload/inside', '/upload/outside']) {
      it(`${path}: equal uploads are duplicates`, async () => {
        expect(await run(path, upload('one'))).to.equal(1)
        const second = await server.ask(path, upload('one'))
        expect(JSON.parse(second.body)).to.deep.include({ file: 'one', run: 1 })
        expect(await run(path, upload('two'))).to.equal(2)
      })
    }
  })
}
