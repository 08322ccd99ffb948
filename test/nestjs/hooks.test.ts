// Subclasses decide who is asking, for what, what to leave alone, and how a refusal looks.

import { Dspinlock, DspinlockGuard, DspinlockInterceptor, DspinlockModule, type Problem } from '@dspinlock/nestjs'
import {
  ConflictException,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  Post,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { APP_INTERCEPTOR, HttpAdapterHost } from '@nestjs/core'
import { expect } from 'chai'
import { json } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

let runs = 0

interface AnyRequest {
  readonly headers: Record<string, string | undefined>
}

const headersOf = (context: ExecutionContext): AnyRequest['headers'] =>
  context.switchToHttp().getRequest<AnyRequest>().headers

@Injectable()
class Users {
  idOf(headers: AnyRequest['headers']): string | undefined {
    return headers['x-user']
  }
}

@Injectable()
class OwnInterceptor extends DspinlockInterceptor {
  constructor(private readonly users: Users) {
    super()
  }
  protected override getIdentity(context: ExecutionContext): string | undefined {
    return this.users.idOf(headersOf(context))
  }
  protected override async getKey(context: ExecutionContext): Promise<string | undefined> {
    return await Promise.resolve(
      headersOf(context)['x-key'] ?? `${context.getClass().name}.${context.getHandler().name}`,
    )
  }
  protected override shouldSkip(context: ExecutionContext): boolean {
    return headersOf(context)['x-skip'] !== undefined
  }
  protected override onRefused(problem: Problem): void {
    throw new ConflictException({ refused: problem.code })
  }
}

/** Differs only in what it says. */
@Injectable()
class AnsweringInterceptor extends DspinlockInterceptor {
  @Inject(HttpAdapterHost) private readonly host!: HttpAdapterHost

  protected override onRefused(problem: Problem, context: ExecutionContext): void {
    const response = context.switchToHttp().getResponse<object>()
    setImmediate(() => this.host.httpAdapter.reply(response, { own: problem.code }, 429))
  }
}

@Injectable()
class OwnGuard extends DspinlockGuard {
  protected override getKey(): string {
    return 'one for all'
  }
  protected override onRefused(problem: Problem): void {
    throw new ConflictException({ guarded: problem.code })
  }
}

@Controller()
class HooksController {
  @Get('replay') @Dspinlock({ duplicates: 'replay', ttlMs: 60_000 }) replay(): object {
    return { run: ++runs }
  }
  @Post('reject') @Dspinlock({ duplicates: 'reject', ttlMs: 60_000 }) reject(): object {
    return { run: ++runs }
  }
}

@Controller()
class BoundController {
  @Get('own') @UseInterceptors(OwnInterceptor) own(): object {
    return { run: ++runs }
  }
  @Get('public')
  @UseInterceptors(OwnInterceptor)
  @Dspinlock({ identity: 'public', key: () => 'route' })
  public(): object {
    return { run: ++runs }
  }
  @Post('keyed')
  @UseInterceptors(OwnInterceptor)
  @Dspinlock({ idempotencyKey: 'required' })
  keyed(): object {
    return { run: ++runs }
  }
  @Post('answering') @UseInterceptors(AnsweringInterceptor) answering(): object {
    return { run: ++runs }
  }
  @Post('guard/:n') @UseGuards(OwnGuard) guard(): object {
    return { run: ++runs }
  }
}

for (const platform of platforms) {
  describe(`hooks on ${platform.name}`, () => {
    let server: NestServer

    const start = (replace: boolean): Promise<NestServer> =>
      startNest(platform, {
        imports: [DspinlockModule.forRoot({ duplicates: replace ? 'replay' : 'reject', ttlMs: 60_000 })],
        controllers: [replace ? HooksController : BoundController],
        providers: [Users, ...(replace ? [{ provide: APP_INTERCEPTOR, useClass: OwnInterceptor }] : [])],
      })
    beforeEach(() => {
      runs = 0
    })
    afterEach(() => server.stop())

    const ask = async (
      path: string,
      headers: Record<string, string> = {},
      method = 'GET',
    ): Promise<[number, unknown]> => {
      const { status, body } = await server.ask(path, { method, headers })
      return [status, JSON.parse(body)]
    }

    it('bound to a route: identity, key, skip and refusal are those of the subclass', async () => {
      server = await start(false)
      expect(await ask('/own', { 'x-user': 'a' })).to.deep.equal([200, { run: 1 }])
      expect(await ask('/own?elsewhere', { 'x-user': 'a' })).to.deep.equal([409, { refused: 'settled' }])
      expect(await ask('/own', { 'x-user': 'b' })).to.deep.equal([200, { run: 2 }])
      expect(await ask('/own', { 'x-user': 'b', 'x-key': 'k' })).to.deep.equal([200, { run: 3 }])
      expect(await ask('/own', { 'x-user': 'b', 'x-skip': '1' })).to.deep.equal([200, { run: 4 }])
    })

    it("a route's own options come before those of a subclass", async () => {
      server = await start(false)
      expect(await ask('/public', { 'x-user': 'a', 'x-key': '1' })).to.deep.equal([200, { run: 1 }])
      expect((await ask('/public', { 'x-user': 'b', 'x-key': '2' }))[0]).to.equal(409)
    })

    it("a route's idempotencyKey stands in place of a subclass's key", async () => {
      server = await start(false)
      const keyed = { 'x-user': 'a', 'x-key': '1', 'idempotency-key': '"k"' }
      expect(await ask('/keyed', keyed, 'POST')).to.deep.equal([201, { run: 1 }])
      expect(await ask('/keyed', { ...keyed, 'x-key': '2' }, 'POST')).to.deep.equal([201, { run: 1 }])
      expect(await ask('/keyed', { ...keyed, 'idempotency-key': '"l"' }, 'POST')).to.deep.equal([201, { run: 2 }])
      expect(await ask('/keyed', { 'x-user': 'a' }, 'POST')).to.deep.equal([409, { refused: 'key-missing' }])
    })

    it('a refusal that is answered by hand, and later', async () => {
      server = await start(false)
      expect((await server.ask('/answering', json({}))).status).to.equal(201)
      const refused = await server.ask('/answering', json({}))
      expect([refused.status, refused.body]).to.deep.equal([429, '{"own":"settled"}'])
    })

    it('the guard has the same hooks', async () => {
      server = await start(false)
      expect(await ask('/guard/1', {}, 'POST')).to.deep.equal([201, { run: 1 }])
      expect(await ask('/guard/2', {}, 'POST')).to.deep.equal([409, { guarded: 'settled' }])
    })

    it("for all routes, a decorator's own interceptor is nearer", async () => {
      server = await start(true)
      const headers = { 'x-user': 'a', 'x-skip': '1' }
      const [first, second] = [await ask('/replay', headers), await ask('/replay', headers)]
      expect(first).to.deep.equal(second)
    })
  })
}
