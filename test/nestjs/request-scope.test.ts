// Interceptors and guards of the user's own that Nest makes anew for each request.

import { Dspinlock, DspinlockGuard, DspinlockInterceptor, DspinlockModule } from '@dspinlock/nestjs'
import {
  type CallHandler,
  Controller,
  type ExecutionContext,
  Get,
  Inject,
  Injectable,
  type NestInterceptor,
  Post,
  Scope,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { APP_INTERCEPTOR, type ContextId, ContextIdFactory, REQUEST } from '@nestjs/core'
import { expect } from 'chai'
import type { Observable } from 'rxjs'
import { Gate, json, until } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'

interface Asking {
  readonly headers: Record<string, string | undefined>
}

/** A provider that Nest keeps for as long as a request lasts. */
@Injectable({ scope: Scope.REQUEST })
class Tenant {
  constructor(@Inject(REQUEST) readonly request: Asking) {}
  get id(): string | undefined {
    return this.request.headers['x-tenant-of-ours']
  }
}

@Injectable()
class TenantInterceptor extends DspinlockInterceptor {
  @Inject(Tenant) readonly tenant!: Tenant
  protected override getIdentity(_context: ExecutionContext): string | undefined {
    return this.tenant.id
  }
}

@Injectable()
class TenantGuard extends DspinlockGuard {
  @Inject(Tenant) readonly tenant!: Tenant
  protected override getIdentity(_context: ExecutionContext): string | undefined {
    return this.tenant.id
  }
}

/** An interceptor that lasts as long as its tenant. */
@Injectable({ scope: Scope.REQUEST, durable: true })
class DurableInterceptor extends DspinlockInterceptor {}

/** Has an onModuleInit of its own, and does not call ours. */
@Injectable()
class StartingInterceptor extends DspinlockInterceptor {
  override onModuleInit(): void {}
}

let runs = 0
let passed = 0
let gate = new Gate()

/** Between what is bound for all routes and what is bound nearer. */
@Injectable()
class PassedInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    passed++
    return next.handle()
  }
}

@Controller()
class RoutesController {
  @Get('bound') @UseInterceptors(TenantInterceptor) bound(): object {
    return { runs: ++runs }
  }
  @Post('everywhere') everywhere(): object {
    return { runs: ++runs }
  }
  @Post('nearer') @Dspinlock({ duplicates: 'serialise' }) nearer(): object {
    return { runs: ++runs }
  }
  @Post('between') @Dspinlock() @UseInterceptors(PassedInterceptor) between(): object {
    return { runs: ++runs }
  }
  @Post('same') @UseInterceptors(PassedInterceptor, TenantInterceptor) same(): object {
    return { runs: ++runs }
  }
  @Post('guarded') @UseGuards(TenantGuard) async guarded(): Promise<object> {
    runs++
    await gate.opened
    return { runs }
  }
}

for (const platform of platforms) {
  describe(`request scope on ${platform.name}`, () => {
    let server: NestServer

    before(async () => {
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot({ duplicates: 'replay', ttlMs: 60_000 })],
        controllers: [RoutesController],
        providers: [Tenant, { provide: APP_INTERCEPTOR, useClass: TenantInterceptor, scope: Scope.REQUEST }],
      })
    })
    beforeEach(() => {
      runs = 0
      passed = 0
      gate = new Gate()
    })
    after(() => server.stop())

    const of = (tenant: string): { headers: Record<string, string> } => ({ headers: { 'x-tenant-of-ours': tenant } })
    const post = (tenant: string): ReturnType<typeof json> => json({}, of(tenant).headers)

    it('bound to a route: the identity comes from a request-scoped provider', async () => {
      const answers: string[] = []
      for (const tenant of ['a', 'b', 'a', 'b']) answers.push((await server.ask('/bound', of(tenant))).body)
      expect(answers).to.deep.equal(['{"runs":1}', '{"runs":2}', '{"runs":1}', '{"runs":2}'])
    })

    it('for all routes', async () => {
      const answers: string[] = []
      for (const tenant of ['a', 'b', 'a', 'b']) answers.push((await server.ask('/everywhere', post(tenant))).body)
      expect(answers).to.deep.equal(['{"runs":1}', '{"runs":2}', '{"runs":1}', '{"runs":2}'])
    })

    it('for all routes, it leaves those with a decorator to that', async () => {
      for (const run of [1, 2]) expect((await server.ask('/nearer', post('a'))).body).to.equal(`{"runs":${run}}`)
    })

    for (const path of ['/between', '/same']) {
      it(`for all routes, it leaves ${path} to what is bound nearer, and what is in between runs for each request`, async () => {
        const answers = [await server.ask(path, post('a')), await server.ask(path, post('a'))]
        expect(answers.map(({ body }) => body)).to.deep.equal(['{"runs":1}', '{"runs":1}'])
        expect([runs, passed]).to.deep.equal([1, 2])
      })
    }

    for (const everywhere of [DurableInterceptor, StartingInterceptor]) {
      it(`so does ${everywhere.name}`, async () => {
        const tenants: ContextId = { id: 1 }
        ContextIdFactory.apply({
          attach: own => ({ resolve: ({ isTreeDurable }) => (isTreeDurable ? tenants : own), payload: {} }),
        })
        const isDurable = everywhere === DurableInterceptor
        const scope = isDurable ? { scope: Scope.REQUEST, durable: true } : {}
        const other = await startNest(platform, {
          imports: [DspinlockModule.forRoot({ duplicates: 'replay', ttlMs: 60_000 })],
          controllers: [RoutesController],
          providers: [Tenant, { provide: APP_INTERCEPTOR, useClass: everywhere, ...scope }],
        })
        try {
          for (const _ of [1, 2]) expect((await other.ask('/between', post('a'))).body).to.equal('{"runs":1}')
          expect(passed).to.equal(2)
        } finally {
          ContextIdFactory.apply(undefined as never)
          await other.stop()
        }
      })
    }

    it('a guard', async () => {
      const first = server.ask('/guarded', post('a'))
      await until(() => runs === 1, 'one runs')
      expect((await server.ask('/guarded', post('a'))).status).to.equal(409)
      const other = server.ask('/guarded', post('b'))
      await until(() => runs === 2, 'another one runs')
      gate.open()
      expect([(await first).status, (await other).status]).to.deep.equal([201, 201])
    })
  })
}
