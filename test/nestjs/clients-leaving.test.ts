// A client that leaves changes nothing for the others, and leaves nothing locked, whatever Nest does about it.

import { once } from 'node:events'
import type { Server, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import {
  Dspinlock,
  DspinlockGuard,
  DspinlockInterceptor,
  DspinlockModule,
  getLockEngineToken,
  type LockEngine,
} from '@dspinlock/nestjs'
import {
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  type NestInterceptor,
  Param,
  Post,
  Req,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { expect } from 'chai'
import { EMPTY, finalize, from, map, mergeMap, NEVER, type Observable, of, retry, tap } from 'rxjs'
import { type Answer, Gate, until } from '../support/http.js'
import { type NestServer, nestMajor, platforms, startNest } from '../support/nest.js'

let runs = 0
let tries = 0
let hasLeft = false
let gate = new Gate()
let outside: string[] = []

interface AnyRequest {
  readonly raw?: AnyRequest
  readonly socket: { once(event: 'close', listener: () => void): void }
}

/** A guard that takes time to look up who is asking. */
class SlowGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    begin(context.switchToHttp().getRequest<AnyRequest>())
    await gate.opened
    return true
  }
}

/** An interceptor that holds something for the time of a request. */
class OutsideInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    outside.push('begun')
    return next.handle().pipe(finalize(() => outside.push('ended')))
  }
}

class RetryInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(retry(1))
  }
}

/** Takes out what clients must not see. */
class HidingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map(({ secret: _secret, ...rest }) => rest))
  }
}

@Injectable()
class HidingItselfInterceptor extends DspinlockInterceptor {
  override intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return new HidingInterceptor().intercept(context, { handle: () => super.intercept(context, next) })
  }
}

/** Wraps what the handler gives, as an interceptor for all answers may; Nest 12 sends a stream that is in there. */
class WrappingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map(data => ({ data })))
  }
}

/** A response as that of another implementation of fetch, which is no instance of Node's. */
function makeOtherResponse(text: string): object {
  const { body, headers } = new Response(text)
  return { body, headers, status: 200, type: 'default', [Symbol.toStringTag]: 'Response' }
}

@Controller()
class NeverController {
  @Get('never') never(): unknown {
    return NEVER
  }
}

@Controller()
class HiddenController {
  @Get('for-all/:id') @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 }) get(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(map(() => ({ done: true, secret: 1 })))
  }
}

@Controller()
@Dspinlock({ duplicates: 'replay', ttlMs: 60_000 })
class LeavingController {
  @Get('promise/:id') async promise(@Req() req: AnyRequest): Promise<object> {
    begin(req)
    await gate.opened
    return { done: true }
  }
  @Get('observable/:id') observable(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(map(() => ({ done: true })))
  }
  @Get('retried/:id') @UseInterceptors(RetryInterceptor, DspinlockInterceptor) retried(
    @Req() req: AnyRequest,
  ): unknown {
    if (++tries === 1) throw new Error('of the first try')
    return this.observable(req)
  }
  @Get('hidden/:id') @UseInterceptors(HidingInterceptor, DspinlockInterceptor) hidden(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(map(() => ({ done: true, secret: 1 })))
  }
  @Post('hidden/:id') @UseInterceptors(HidingInterceptor, DspinlockInterceptor) hiddenPost(
    @Req() req: AnyRequest,
  ): unknown {
    return this.hidden(req)
  }
  @Get('hides-itself/:id') @UseInterceptors(HidingItselfInterceptor) hidesItself(@Req() req: AnyRequest): unknown {
    return this.hidden(req)
  }
  @Get('failing/:id') failing(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(
      map(() => {
        if (runs === 1) throw new Error('of the first')
        return { done: true }
      }),
    )
  }
  @Get('empty/:id') empty(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(mergeMap(() => (runs === 1 ? EMPTY : of({ done: true }))))
  }
  @Get('unlocked/:id') @Dspinlock({ skip: () => true }) unlocked(@Req() req: AnyRequest): unknown {
    begin(req)
    return NEVER.pipe(finalize(() => outside.push('dropped')))
  }
  @Get('unsendable/:id') unsendable(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(map(() => (runs === 1 ? { amount: 1n } : { done: true })))
  }
  @Get('hand/:id') hand(@Req() req: AnyRequest, @Res() res: { send(body: unknown): void }): void {
    begin(req)
    void gate.opened.then(() => res.send({ done: true }))
  }
  @Get('hand-observable/:id') handObservable(
    @Req() req: AnyRequest,
    @Res() res: { send(body: unknown): void },
  ): unknown {
    begin(req)
    return from(gate.opened).pipe(
      map(() => ({ secret: 1 })),
      tap(() => void setImmediate(() => res.send({ done: true }))),
    )
  }
  @Get('stream/:id') async stream(@Req() req: AnyRequest): Promise<unknown> {
    begin(req)
    await gate.opened
    return new StreamableFile(Readable.from([Buffer.from('done')]))
  }
  @Post('stream/:id') post(@Req() req: AnyRequest): Promise<unknown> {
    return this.stream(req)
  }
  @Get('generator/:id') async *generator(@Req() req: AnyRequest, @Param('id') id: string): AsyncGenerator<string> {
    begin(req)
    await gate.opened
    yield `done ${id}`
  }

  @Get('wrapped/:id') @UseInterceptors(WrappingInterceptor) async *wrapped(
    @Req() req: AnyRequest,
    @Param('id') id: string,
  ): AsyncGenerator<string> {
    yield* this.generator(req, id)
  }
  @Get('other-response/:id') async otherResponse(@Req() req: AnyRequest): Promise<object> {
    begin(req)
    await gate.opened
    return makeOtherResponse('done')
  }
  @Get('later-response/:id') laterResponse(@Req() req: AnyRequest): unknown {
    begin(req)
    return from(gate.opened).pipe(map(() => makeOtherResponse('done')))
  }

  @Post('refusing-observable/:id') @Dspinlock({ duplicates: 'reject' }) @UseGuards(DspinlockGuard) refusingObservable(
    @Req() req: AnyRequest,
  ): unknown {
    return this.observable(req)
  }
  @Post('refusing-generator/:id') @Dspinlock({ duplicates: 'reject' }) @UseGuards(DspinlockGuard) refusingGenerator(
    @Req() req: AnyRequest,
  ): unknown {
    return this.generator(req, '1')
  }

  @Get('parts/:id') parts(@Req() req: AnyRequest): unknown {
    begin(req)
    let pulls = 0
    const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
      if (++pulls > 1) await gate.opened
      if (pulls > 2) controller.close()
      else controller.enqueue(Buffer.from('ab'[pulls - 1] as string))
    }
    return new Response(new ReadableStream({ pull }))
  }
  @Get('outside/:id') @UseInterceptors(OutsideInterceptor, DspinlockInterceptor) async outside(
    @Req() req: AnyRequest,
  ): Promise<object> {
    begin(req)
    await gate.opened
    return { done: true }
  }
  @Get('guarded/:id') @Dspinlock() @UseInterceptors(OutsideInterceptor) @UseGuards(SlowGuard) guarded(): object {
    outside.push('run')
    return { done: true }
  }
  @Get('asked/:id')
  @Dspinlock({ skip: async () => false })
  @UseInterceptors(OutsideInterceptor)
  @UseGuards(SlowGuard)
  asked(): object {
    outside.push('run')
    return { done: true }
  }
  @Post('refused/:id')
  @Dspinlock({ idempotencyKey: 'required' })
  @UseInterceptors(OutsideInterceptor)
  @UseGuards(SlowGuard)
  refused(): object {
    outside.push('run')
    return { done: true }
  }
}

function begin(req: AnyRequest): void {
  runs++
  ;(req.raw ?? req).socket.once('close', () => {
    hasLeft = true
  })
}

for (const platform of platforms) {
  describe(`clients that leave, on ${platform.name}`, () => {
    let server: NestServer
    let engine: LockEngine

    before(async () => {
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot({ settleTimeoutMs: 50 })],
        controllers: [LeavingController, NeverController],
      })
      engine = server.app.get<LockEngine>(getLockEngineToken())
    })
    beforeEach(() => {
      runs = 0
      tries = 0
      hasLeft = false
      gate = new Gate()
      outside = []
    })
    after(() => server.stop())

    const beginAndLeave = async (path: string, method = 'GET', port = server.port, before = ''): Promise<void> => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(`${before}${method} ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
      await until(() => runs === 1, 'it runs')
      socket.destroy()
      await until(() => hasLeft, 'the server noticed')
    }

    for (const kind of ['promise', 'observable', 'hand', 'hand-observable']) {
      it(`${kind}: the work goes on, and the duplicates get its answer`, async () => {
        await beginAndLeave(`/${kind}/1`)
        const duplicate = server.ask(`/${kind}/1`, { headers: { host: 'h' } })
        await until(() => engine.waiters === 1, 'a duplicate waits')
        gate.open()
        const answer = await duplicate
        expect([answer.status, answer.body, runs]).to.deep.equal([200, '{"done":true}', 1])
        expect(answer.headers['content-type']).to.match(/^application\/json/)
        expect(engine.keys).to.equal(0)
      })
    }

    for (const kind of ['retried', 'hidden', 'hides-itself']) {
      it(`${kind}: what an interceptor outside makes of a value is not known any more, and the duplicate runs for itself`, async () => {
        await beginAndLeave(`/${kind}/1`)
        const duplicate = server.ask(`/${kind}/1`, { headers: { host: 'h' } })
        await until(() => engine.waiters === 1, 'a duplicate waits')
        gate.open()
        expect([(await duplicate).body, runs]).to.deep.equal(['{"done":true}', 2])
        expect(engine.keys).to.equal(0)
      })
    }

    it('such a value of a POST: its duplicate is told that it is done, and nothing runs twice', async () => {
      await beginAndLeave('/hidden/2', 'POST')
      const duplicate = server.ask('/hidden/2', { method: 'POST', headers: { host: 'h' } })
      await until(() => engine.waiters === 1, 'a duplicate waits')
      gate.open()
      const answer = await duplicate
      expect([answer.status, JSON.parse(answer.body).code, runs]).to.deep.equal([409, 'not-kept', 1])
    })

    it('an interceptor for all routes outside: its value is not known either', async () => {
      const hidden = await startNest(platform, {
        imports: [DspinlockModule.forRoot()],
        controllers: [HiddenController],
        providers: [{ provide: APP_INTERCEPTOR, useClass: HidingInterceptor }],
      })
      const other = hidden.app.get<LockEngine>(getLockEngineToken())
      await beginAndLeave('/for-all/1', 'GET', hidden.port)
      const duplicate = hidden.ask('/for-all/1', { headers: { host: 'h' } })
      await until(() => other.waiters === 1, 'a duplicate waits')
      gate.open()
      expect([(await duplicate).body, runs]).to.deep.equal(['{"done":true}', 2])
      await hidden.stop()
    })

    for (const [kind, what] of [
      ['failing', 'that fails then'],
      ['empty', 'that ends without a value'],
      ['unsendable', 'with a value that cannot be sent'],
    ] as const) {
      it(`an Observable ${what} leaves no record, and the duplicate runs`, async () => {
        await beginAndLeave(`/${kind}/1`)
        const duplicate = server.ask(`/${kind}/1`, { headers: { host: 'h' } })
        await until(() => engine.waiters === 1, 'a duplicate waits')
        gate.open()
        expect([(await duplicate).body, runs]).to.deep.equal(['{"done":true}', 2])
      })
    }

    it('work that runs without a lock is dropped as without us', async () => {
      await beginAndLeave('/unlocked/1')
      await until(() => outside.includes('dropped'), 'Nest drops it')
    })

    const ofNest12 = ['generator', 'wrapped', 'other-response', 'later-response']
    const streams = ['stream', ...(nestMajor < 12 ? [] : ofNest12)]
    for (const kind of streams) {
      it(`${kind}: Nest drops it when its work is done, and the duplicate runs for itself at once`, async () => {
        await beginAndLeave(`/${kind}/1`)
        const duplicate = server.ask(`/${kind}/1`, { headers: { host: 'h' } })
        await until(() => engine.waiters === 1, 'a duplicate waits')
        gate.open()
        expect([(await duplicate).body.slice(0, 4), runs]).to.deep.equal(['done', 2])
        expect(engine.keys).to.equal(0)
      })
    }

    it('a dropped stream of a POST: its duplicate is told that it is done, and nothing runs twice', async () => {
      await beginAndLeave('/stream/2', 'POST')
      const duplicate = server.ask('/stream/2', { method: 'POST', headers: { host: 'h' } })
      await until(() => engine.waiters === 1, 'a duplicate waits')
      gate.open()
      const answer = await duplicate
      expect([answer.status, runs]).to.deep.equal([409, 1])
      expect(JSON.parse(answer.body)).to.include({ code: 'not-kept' })
    })

    const never = 'GET /never HTTP/1.1\r\nHost: h\r\n\r\n'
    const pipelined = [['stream', 'done'] as const, ...(nestMajor < 12 ? [] : [['parts', 'ab'] as const])]
    for (const [kind, whole] of pipelined) {
      it(`${kind}, behind another answer: nothing of it is kept, and the duplicate runs for itself at once`, async () => {
        await beginAndLeave(`/${kind}/3`, 'GET', server.port, never)
        gate.open()
        await until(() => engine.keys === 0, 'the key is free')
        const answer = await server.ask(`/${kind}/3`, { headers: { host: 'h' } })
        expect([answer.body, runs, answer.headers['cache-status']]).to.deep.equal([whole, 2, undefined])
      })
    }

    it('one that waits, behind another answer: what is outside ends', async () => {
      const holder = server.ask('/outside/1', { headers: { host: 'h' } })
      await until(() => runs === 1, 'one runs')
      const socket = connect(server.port, '127.0.0.1')
      socket.write(`${never}GET /outside/1 HTTP/1.1\r\nHost: h\r\n\r\n`)
      await until(() => engine.waiters === 1, 'a duplicate waits')
      socket.destroy()
      await until(() => outside.includes('ended'), 'what is outside ended')
      expect([outside, engine.waiters]).to.deep.equal([['begun', 'begun', 'ended'], 0])
      gate.open()
      await holder
    })

    const refusing = nestMajor < 12 ? ['refusing-observable'] : ['refusing-observable', 'refusing-generator']
    for (const kind of refusing) {
      it(`${kind}: where a guard has the lock, its duplicate is refused until the work has ended`, async () => {
        const ask = (): Promise<Answer> => server.ask(`/${kind}/1`, { method: 'POST', headers: { host: 'h' } })
        await beginAndLeave(`/${kind}/1`, 'POST')
        expect([(await ask()).status, runs]).to.deep.equal([409, 1])
        gate.open()
        await until(() => engine.keys === 0, 'the key is free')
        expect([(await ask()).status, runs]).to.deep.equal([201, 2])
      })
    }

    const late = [
      ['GET', '/guarded/1'],
      ['GET', '/asked/1'],
      ['POST', '/refused/1'],
    ] as const
    for (const [method, path] of late) {
      it(`${path}: gone before it came to us, it runs nothing, and what is outside ends all the same`, async () => {
        await beginAndLeave(path, method)
        gate.open()
        await until(() => outside.includes('ended'), 'what is outside ended')
        expect([outside, engine.keys]).to.deep.equal([['begun', 'ended'], 0])
      })
    }

    for (const [method, path] of late) {
      it(`${path}: answered by other code before it came to us, it runs nothing, and what is outside ends though its connection stays`, async () => {
        const http = server.app.getHttpServer() as Server
        const answered = once(http, 'request') as Promise<[unknown, ServerResponse]>
        const socket = connect(server.port, '127.0.0.1')
        socket.write(`${method} ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
        const [, res] = await answered
        await until(() => runs === 1, 'a guard looks up who is asking')
        // Like a time limit.
        res.end('too late')
        await once(res, 'close')
        gate.open()
        await until(() => outside.includes('ended'), 'what is outside ended')
        expect([outside, engine.keys, hasLeft]).to.deep.equal([['begun', 'ended'], 0, false])
        socket.destroy()
      })
    }

    it('a follower leaves: it leaves the queue, and nothing else', async () => {
      const holder = server.ask('/promise/2', { headers: { host: 'h' } })
      await until(() => runs === 1, 'one runs')
      const socket = connect(server.port, '127.0.0.1')
      socket.write('GET /promise/2 HTTP/1.1\r\nHost: h\r\n\r\n')
      await until(() => engine.waiters === 1, 'a duplicate waits')
      socket.destroy()
      await until(() => engine.waiters === 0, 'it left')
      gate.open()
      expect((await holder).body).to.equal('{"done":true}')
      expect(runs).to.equal(1)
    })
  })
}
