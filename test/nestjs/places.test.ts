// Our place among guards, interceptors, middleware and hooks: what is outside applies to a replay; what is inside ran once.

import { once } from 'node:events'
import { get as httpGet, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Dspinlock,
  DspinlockInterceptor,
  DspinlockModule,
  getLockEngineToken,
  type LockEngine,
} from '@dspinlock/nestjs'
import {
  type CallHandler,
  type CanActivate,
  ClassSerializerInterceptor,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Injectable,
  type NestInterceptor,
  Post,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { APP_INTERCEPTOR } from '@nestjs/core'
import { expect } from 'chai'
import { Exclude } from 'class-transformer'
import { defer, finalize, from, map, NEVER, type Observable, retry, takeUntil, tap, throwIfEmpty, timeout } from 'rxjs'
import { Gate, json, until } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

type Raw = ServerResponse & { readonly raw?: ServerResponse }

let runs = 0
let dropped = 0
let tried = 0
let log: string[] = []
let gate = new Gate()
let patience = new Gate()
let pause = new Gate()

const replayed = { duplicates: 'replay', ttlMs: 60_000 } as const

class User {
  name = 'me'
  @Exclude() password = 'secret'
}

@Injectable()
class LogInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      tap(value => log.push(`value ${typeof value}`)),
      finalize(() => log.push('end')),
    )
  }
}

@Injectable()
class HeaderInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const response = context.switchToHttp().getResponse<Raw>()
    const read = (): void => void log.push(String((response.raw ?? response).getHeader('cache-status')))
    return next.handle().pipe(tap(read))
  }
}

@Injectable()
class WrapInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map(data => ({ data })))
  }
}

@Injectable()
class TimeoutInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>()
    return headers['x-timeout'] === undefined
      ? next.handle()
      : next.handle().pipe(timeout(Number(headers['x-timeout'])))
  }
}

@Injectable()
class RetryInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(retry(2))
  }
}

/** Gives up its first try when it is told to, and tries again when it is told to. */
@Injectable()
class ImpatientInterceptor implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>()
    if (headers['x-impatient'] === undefined) return next.handle()
    let tries = 0
    const once = defer(() => {
      tries++
      tried++
      return tries > 1 ? next.handle() : next.handle().pipe(takeUntil(from(patience.opened)), throwIfEmpty())
    })
    return once.pipe(retry({ count: 1, delay: () => from(pause.opened) }))
  }
}

/** Unwraps the value, and fails if there is none. */
@Injectable()
class ItemsInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((value: { items: unknown }) => value.items))
  }
}

/** Refuses without calling the next one. */
@Injectable()
class AuthGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['x-user'] !== 'nobody'
  }
}

@Controller()
class PlacesController {
  @Get('guarded') @UseGuards(AuthGuard) @Dspinlock({ ...replayed, identity: 'public' }) guarded(): string {
    runs++
    return 'for those who may'
  }
  @Get('serializer-outside')
  @Dspinlock(replayed)
  @UseInterceptors(ClassSerializerInterceptor)
  serializerOutside(): User {
    runs++
    return new User()
  }
  @Get('serializer-inside') @UseInterceptors(ClassSerializerInterceptor) @Dspinlock(replayed) serializerInside(): User {
    runs++
    return new User()
  }
  @Get('wrapped') @UseInterceptors(LogInterceptor, WrapInterceptor) @Dspinlock(replayed) wrapped(): string {
    runs++
    return 'inner'
  }
  @Get('outside') @Dspinlock(replayed) @UseInterceptors(LogInterceptor, WrapInterceptor) outside(): string {
    runs++
    return 'inner'
  }
  @Post('slow') @UseInterceptors(TimeoutInterceptor, DspinlockInterceptor) async slow(): Promise<string> {
    runs++
    await gate.opened
    return 'slow'
  }
  @Post('dropped') @UseInterceptors(TimeoutInterceptor, DspinlockInterceptor) dropped(): unknown {
    runs++
    return NEVER.pipe(finalize(() => dropped++))
  }
  @Get('quick') @UseInterceptors(TimeoutInterceptor, DspinlockInterceptor) @Dspinlock(replayed) quick(): string {
    runs++
    return 'quick'
  }
  @Post('retried') @UseInterceptors(RetryInterceptor, DspinlockInterceptor) retried(): string {
    runs++
    if (runs < 3) throw new Error('not yet')
    return `run ${runs}`
  }
  @Post('impatient')
  @UseInterceptors(ImpatientInterceptor, DspinlockInterceptor)
  @Dspinlock({ duplicates: 'serialise' })
  async impatient(): Promise<string> {
    const run = ++runs
    await gate.opened
    return `run ${run}`
  }
  @Post('items')
  @UseInterceptors(RetryInterceptor, ItemsInterceptor, DspinlockInterceptor)
  @Dspinlock(replayed)
  items(): object {
    return { items: [++runs] }
  }
  @Post('unknown')
  @UseInterceptors(RetryInterceptor, DspinlockInterceptor)
  @Dspinlock({
    identity: () => {
      throw new Error('nobody knows')
    },
  })
  unknown(): void {
    runs++
  }
  @Get('late-headers') @Dspinlock({ ...replayed, identity: 'public' }) lateHeaders(): string {
    runs++
    return 'whose'
  }
}

@Controller()
class OutsideController {
  @Get('header') @Dspinlock(replayed) @UseInterceptors(HeaderInterceptor) header(): string {
    runs++
    return 'inner'
  }
  @Post('refused')
  @Dspinlock<unknown, Raw>({
    duplicates: 'reject',
    ttlMs: 60_000,
    onRefused: (_problem, _request, response) => void (response.raw ?? response).end('refused by hand'),
  })
  @UseInterceptors(LogInterceptor)
  refused(): string {
    runs++
    return 'inner'
  }
}

/** Both are bound here: one for all routes, and one by the decorator. */
@Controller('twice')
@Dspinlock(replayed)
class TwiceController {
  @Get() @Dspinlock({ duplicates: 'reject', ttlMs: 60_000 }) get(): string {
    runs++
    return 'once'
  }
}

/** Writes into a response header whose request it is, as CORS does. */
function addHeaders(app: INestApplication, kind: string): void {
  const instance = app.getHttpAdapter().getInstance() as { addHook?(name: string, hook: unknown): void }
  if (kind === 'express') {
    app.use(
      (
        req: { headers: Record<string, string> },
        res: { setHeader(name: string, value: string): void },
        next: () => void,
      ) => {
        res.setHeader('x-origin', req.headers['x-user'] ?? 'none')
        res.setHeader('X-Frame-Options', 'DENY')
        next()
      },
    )
    return
  }
  instance.addHook?.(
    'onRequest',
    (
      req: { headers: Record<string, string> },
      reply: { header(n: string, v: string): void; readonly raw: ServerResponse },
      done: () => void,
    ) => {
      reply.header('x-origin', req.headers['x-user'] ?? 'none')
      reply.raw.setHeader('X-Frame-Options', 'DENY') // as @fastify/helmet does
      done()
    },
  )
}

for (const platform of platforms) {
  describe(`places on ${platform.name}`, () => {
    let server: NestServer

    before(async () => {
      server = await startNest(
        platform,
        {
          imports: [DspinlockModule.forRoot({ duplicates: 'replay' })],
          controllers: [PlacesController, TwiceController],
          providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }],
        },
        app => {
          addHeaders(app, platform.kind)
          app.enableCors({ origin: true })
        },
      )
    })
    beforeEach(() => {
      runs = 0
      tried = 0
      log = []
      gate = new Gate()
      patience = new Gate()
      pause = new Gate()
    })
    after(() => server.stop())

    it('a request that a guard refuses never gets a replay', async () => {
      expect((await server.ask('/guarded', { headers: { 'x-user': 'somebody' } })).status).to.equal(200)
      const refused = await server.ask('/guarded', { headers: { 'x-user': 'nobody' } })
      expect([refused.status, runs]).to.deep.equal([403, 1])
      expect(refused.body).not.to.contain('for those who may')
    })

    for (const path of ['/serializer-outside', '/serializer-inside']) {
      it(`${path}: what a class hides stays hidden`, async () => {
        const [first, second] = [await server.ask(path), await server.ask(path)]
        expect([first.body, second.body, runs]).to.deep.equal(['{"name":"me"}', '{"name":"me"}', 1])
      })
    }

    it('names of headers that were set in front keep their case', async () => {
      const ask = async (): Promise<string[]> => {
        const [answer] = (await once(
          httpGet({ port: server.port, path: '/guarded', agent: false, headers: { 'x-user': 'cased' } }),
          'response',
        )) as [IncomingMessage]
        answer.resume()
        return answer.rawHeaders.filter(name => name.toLowerCase() === 'x-frame-options')
      }
      expect([await ask(), await ask()]).to.deep.equal([['X-Frame-Options'], ['X-Frame-Options']])
    })

    it('interceptors inside ran once', async () => {
      const [first, second] = [await server.ask('/wrapped'), await server.ask('/wrapped')]
      expect([first.body, second.body]).to.deep.equal(['{"data":"inner"}', '{"data":"inner"}'])
      expect([runs, log]).to.deep.equal([1, ['value object', 'end']])
    })

    it('interceptors outside see undefined in place of a replay, and what they make of it is not sent', async () => {
      const [first, second] = [await server.ask('/outside'), await server.ask('/outside')]
      await until(() => log.length === 4, 'both have ended')
      expect([first.body, second.body, runs]).to.deep.equal(['{"data":"inner"}', '{"data":"inner"}', 1])
      expect(log.slice(2)).to.deep.equal(['value object', 'end'])
    })

    it('interceptors outside find the headers of a replay, and end with an answer by hand', async () => {
      // Nothing else sets headers or waits for the end.
      const imports = [DspinlockModule.forRoot()]
      const alone = await startNest(platform, { imports, controllers: [OutsideController] })
      try {
        const [first, second] = [await alone.ask('/header'), await alone.ask('/header')]
        await until(() => log.length === 2, 'both have ended')
        expect([first.body, second.body, log[1]]).to.deep.equal(['inner', 'inner', 'dspinlock; hit'])
        log = []
        await alone.ask('/refused', json({}))
        expect((await alone.ask('/refused', json({}))).body).to.equal('refused by hand')
        await until(() => log.length === 4, 'both have ended')
        expect(log).to.deep.equal(['value string', 'end', 'value undefined', 'end'])
      } finally {
        await alone.stop()
      }
    })

    it('a timeout outside answers while its duplicate waits, which runs nothing later', async () => {
      const holder = server.ask('/slow', json({}))
      await until(() => runs === 1, 'one runs')
      expect((await server.ask('/slow', json({}, { 'x-timeout': '30' }))).status).to.equal(500)
      gate.open()
      expect([(await holder).body, runs]).to.deep.equal(['slow', 1])
    })

    it('a timeout outside drops work that is an Observable', async () => {
      dropped = 0
      expect((await server.ask('/dropped', json({}, { 'x-timeout': '30' }))).status).to.equal(500)
      expect([runs, dropped]).to.deep.equal([1, 1])
    })

    it('a timeout outside has nothing to say about a replay that is out', async () => {
      const ask = { headers: { 'x-timeout': '30' } }
      await server.ask('/quick', ask)
      const second = await server.ask('/quick', ask)
      await sleep(50)
      expect([second.body, (await server.ask('/quick', ask)).body, runs]).to.deep.equal(['quick', 'quick', 1])
    })

    it('an interceptor outside that tries again does so under the same hold', async () => {
      expect((await server.ask('/retried', json({}))).body).to.equal('run 3')
    })

    it('an interceptor outside that gives up waiting and tries again goes on waiting', async () => {
      const engine = server.app.get<LockEngine>(getLockEngineToken())
      pause.open()
      const holder = server.ask('/impatient', json({}))
      await until(() => runs === 1, 'one runs')
      const waiter = server.ask('/impatient', json({}, { 'x-impatient': 'yes' }))
      await until(() => engine.waiters === 1, 'one waits')
      patience.open()
      await until(() => tried === 2, 'it tries again')
      await new Promise(resolve => setImmediate(resolve))
      expect(runs).to.equal(1)
      gate.open()
      expect([(await holder).body, (await waiter).body]).to.deep.equal(['run 1', 'run 2'])
    })

    it('an interceptor outside that tries again when its turn is gone: 503, and nothing runs', async () => {
      const engine = server.app.get<LockEngine>(getLockEngineToken())
      const holder = server.ask('/impatient', json({}))
      await until(() => runs === 1, 'one runs')
      const waiter = server.ask('/impatient', json({}, { 'x-impatient': 'yes' }))
      await until(() => engine.waiters === 1, 'one waits')
      patience.open()
      gate.open()
      await holder
      await until(() => engine.keys === 0, 'its turn is over')
      pause.open()
      expect([(await waiter).status, tried, runs]).to.deep.equal([503, 2, 1])
    })

    it('an interceptor outside that tries again because of what it got in place of a replay: nothing runs', async () => {
      const [first, second] = [await server.ask('/items', json({})), await server.ask('/items', json({}))]
      expect([first.body, second.body, runs]).to.deep.equal(['[1]', '[1]', 1])
    })

    it('an interceptor outside that tries again after an option threw: nothing runs', async () => {
      expect([(await server.ask('/unknown', json({}))).status, runs]).to.deep.equal([500, 0])
    })

    it('bound for all, to the controller and to the method: the method decides, and it runs once', async () => {
      expect((await server.ask('/twice')).status).to.equal(200)
      const second = await server.ask('/twice')
      expect([second.status, runs]).to.deep.equal([409, 1])
      expect(JSON.parse(second.body)).to.include({ code: 'settled' })
    })

    it("headers set outside are the follower's own", async () => {
      const [first, second] = [
        await server.ask('/late-headers', { headers: { 'x-user': 'a', origin: 'https://a.test' } }),
        await server.ask('/late-headers', { headers: { 'x-user': 'b', origin: 'https://a.test' } }),
      ]
      expect([first.headers['x-origin'], second.headers['x-origin'], runs]).to.deep.equal(['a', 'b', 1])
      expect(second.headers['access-control-allow-origin']).to.equal('https://a.test')
    })
  })
}
