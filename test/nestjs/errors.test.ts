// An exception is recorded as its filter rendered it; a failure leaves no record.

import { Dspinlock, DspinlockModule } from '@dspinlock/nestjs'
import {
  type ArgumentsHost,
  Body,
  Catch,
  ConflictException,
  Controller,
  type ExceptionFilter,
  Get,
  Inject,
  ParseIntPipe,
  Post,
  Query,
  ServiceUnavailableException,
  UseFilters,
} from '@nestjs/common'
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core'
import { expect } from 'chai'
import { throwError } from 'rxjs'
import { json } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

let runs = 0
let rendered: string[] = []

class TeapotError extends Error {}

@Catch(TeapotError)
class TeapotFilter implements ExceptionFilter<TeapotError> {
  catch(error: TeapotError, host: ArgumentsHost): void {
    rendered.push(error.message)
    host
      .switchToHttp()
      .getResponse<{ status(code: number): { send(body: unknown): void } }>()
      .status(418)
      .send({ teapot: error.message })
  }
}

/** The catch-all filter of Nest's own documentation. */
@Catch()
class CatchAllFilter implements ExceptionFilter {
  @Inject(HttpAdapterHost) private readonly host!: HttpAdapterHost

  catch(error: Error & { getStatus?: () => number }, host: ArgumentsHost): void {
    rendered.push(error.message)
    const status = error.getStatus?.() ?? 500
    this.host.httpAdapter.reply(host.switchToHttp().getResponse<object>(), { caught: error.message }, status)
  }
}

/** Sent by somebody in particular, because a refusal to nobody in particular is not shared. */
const headers = { authorization: 'Bearer somebody' }

@Controller()
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class ErrorsController {
  @Post('conflict') conflict(): void {
    runs++
    throw new ConflictException({ reason: 'taken', run: runs })
  }
  @Get('teapot') @UseFilters(TeapotFilter) teapot(): void {
    runs++
    throw new TeapotError(`run ${runs}`)
  }
  @Get('observable') observable(): unknown {
    runs++
    return throwError(() => new ConflictException(`run ${runs}`))
  }
  @Get('pipe') pipe(@Query('n', ParseIntPipe) n: number): number {
    runs++
    return n
  }
  @Get('unavailable') unavailable(): void {
    runs++
    throw new ServiceUnavailableException()
  }
  @Get('error') error(): void {
    runs++
    throw new Error('of the handler')
  }
  @Post('late') late(@Body() body: unknown): unknown {
    runs++
    if (runs === 1) return new Promise((_resolve, reject) => setTimeout(() => reject(new Error('first')), 20))
    return { body, run: runs }
  }
}

for (const platform of platforms) {
  for (const withFilter of [false, true]) {
    describe(`errors on ${platform.name}${withFilter ? ' with a filter for all' : ''}`, () => {
      let server: NestServer

      before(async () => {
        server = await startNest(platform, {
          imports: [DspinlockModule.forRoot()],
          controllers: [ErrorsController],
          providers: withFilter ? [{ provide: APP_FILTER, useClass: CatchAllFilter }] : [],
        })
      })
      beforeEach(() => {
        runs = 0
        rendered = []
      })
      after(() => server.stop())

      for (const [path, status, method] of [
        ['/conflict', 409, 'POST'],
        ['/teapot', 418, 'GET'],
        ['/observable', 409, 'GET'],
      ] as const) {
        it(`${path}: rendered once, and replayed as it was`, async () => {
          const first = await server.ask(path, { method, headers })
          const second = await server.ask(path, { method, headers })
          expect([first.status, second.status, runs]).to.deep.equal([status, status, 1])
          expect([second.body, second.headers['content-type']]).to.deep.equal([
            first.body,
            first.headers['content-type'],
          ])
          expect(second.headers['cache-status']).to.equal('dspinlock; hit')
          expect(rendered.length).to.equal(withFilter || path === '/teapot' ? 1 : 0)
        })
      }

      it("a pipe's refusal is recorded like any other", async () => {
        const first = await server.ask('/pipe?n=x', { headers })
        const second = await server.ask('/pipe?n=x', { headers })
        expect([first.status, second.status, second.body, runs]).to.deep.equal([400, 400, first.body, 0])
        expect(second.headers['cache-status']).to.equal('dspinlock; hit')
      })

      for (const [path, status] of [
        ['/unavailable', 503],
        ['/error', 500],
      ] as const) {
        it(`${path}: leaves no record, and the next one runs`, async () => {
          expect((await server.ask(path)).status).to.equal(status)
          expect((await server.ask(path)).status).to.equal(status)
          expect(runs).to.equal(2)
        })
      }

      it('of duplicates that wait for a failure, one runs, and the rest get its success', async () => {
        const answers = await Promise.all(Array.from({ length: 5 }, () => server.ask('/late', json({ a: 1 }))))
        expect(answers.map(({ status }) => status).sort((a, b) => a - b)).to.deep.equal([201, 201, 201, 201, 500])
        expect(runs).to.equal(2)
      })
    })
  }
}
