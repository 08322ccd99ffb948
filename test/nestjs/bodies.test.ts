// Bodies as the platform parsed them tell duplicates apart; uploads are handled inside and outside of dspinlock.

import { Dspinlock, DspinlockModule } from '@dspinlock/nestjs'
import { Body, Controller, Post, Query, UploadedFile, UseInterceptors, ValidationPipe } from '@nestjs/common'
import { FileInterceptor } from '@nestjs/platform-express'
import { expect } from 'chai'
import { IsInt } from 'class-validator'
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
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot()],
        controllers: platform.kind === 'express' ? [BodiesController, UploadController] : [BodiesController],
      })
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
      const text = { method: 'POST', headers: { 'content-type': 'text/x-own' }, body: 'text' }
      expect(await run('/body', text)).to.equal(2)
      expect(await run('/body', text)).to.equal(2)
      expect(await run('/body', { ...text, body: 'other' })).to.equal(3)
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

    if (platform.kind !== 'express') return

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
