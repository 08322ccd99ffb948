// An exception is recorded as its filter rendered it; a failure leaves no record.

import { Dspinlock, DspinlockModule } from '@dspinlock/nestjs'
import {
  type ArgumentsHost,
  Body,
  type CallHandler,
  Catch,
  ConflictException,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  GatewayTimeoutException,
  Get,
  Inject,
  type NestInterceptor,
  ParseIntPipe,
  Post,
  Query,
  RequestTimeoutException,
  ServiceUnavailableException,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common'
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core'
import { expect } from 'chai'
import { type Observable, throwError, timeout } from 'rxjs'
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

/** The interceptor of Nest's own documentation that answers when time is over; a handler's name says with what. */
class TimeoutInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const isGateway = context.getHandler().name.endsWith('504')
    const over = (): Error => (isGateway ? new GatewayTimeoutException() : new RequestTimeoutException())
    return next.handle().pipe(timeout({ first: 10, with: () => throwError(over) }))
  }
}

const endless = (): Promise<never> => {
  runs++
  return new Promise(() => {})
}
const keep = { idempotencyKey: 'required', serverErrors: 'keep' } as const

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
  @Post('inside-408') @UseInterceptors(TimeoutInterceptor) @Dspinlock(keep) inside408(): unknown {
    return endless()
  }
  @Post('inside-504') @UseInterceptors(TimeoutInterceptor) @Dspinlock(keep) inside504(): unknown {
    return endless()
  }
  @Post('outside-408') @Dspinlock(keep) @UseInterceptors(TimeoutInterceptor) outside408(): unknown {
    return endless()
  }
  @Post('outside-504') @Dspinlock(keep) @UseInterceptors(TimeoutInterceptor) outside504(): unknown {
    return endless()
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

      for (const place of ['inside', 'outside']) {
        it(`an interceptor ${place} that answers 408 when time is over lets a retry run beside the handler; one that answers 504 has it repeated`, async () => {
          const ask = async (path: string) => {
            const retry = { method: 'POST', headers: { ...headers, 'idempotency-key': 'one' } }
            return [(await server.ask(path, retry)).status, (await server.ask(path, retry)).status, runs]
          }
          expect(await ask(`/${place}-408`)).to.deep.equal([408, 408, 2])
          runs = 0
          expect(await ask(`/${place}-504`)).to.deep.equal([504, 504, 1])
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
