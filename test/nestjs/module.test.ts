// The module: every way to configure it, what it provides, and what it does when the application ends.

import {
  Dspinlock,
  DspinlockInterceptor,
  DspinlockModule,
  type DspinlockOptions,
  type DspinlockOptionsFactory,
  getLockEngineToken,
  InjectLockEngine,
  LockEngine,
  memoryStore,
} from '@dspinlock/nestjs'
import { redisStore } from '@dspinlock/redis'
import {
  type CallHandler,
  Controller,
  type DynamicModule,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  type NestInterceptor,
  Post,
  UseInterceptors,
} from '@nestjs/common'
import { expect } from 'chai'
import type { Observable } from 'rxjs'
import { type Answer, Gate, json, until } from '../support/http.js'
import { type NestServer, platforms, startNest } from '../support/nest.js'
import { redisUrl } from '../support/redis.js'

let runs = 0
let passed = 0
let gate = new Gate()

/** Between what is for all routes and what is bound nearer. */
class PassedInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    passed++
    return next.handle()
  }
}

@Controller()
class ReportsController {
  @Get('report') @Dspinlock() report(): object {
    return { run: ++runs }
  }
  @Get('counted') @Dspinlock() @UseInterceptors(PassedInterceptor) counted(): object {
    return { run: ++runs }
  }
  @Post('held') @Dspinlock({ duplicates: 'serialise' }) async held(): Promise<object> {
    runs++
    await gate.opened
    return { run: runs }
  }
}

@Controller('other')
class OtherController {
  @Post('held') @Dspinlock('other') async held(): Promise<object> {
    runs++
    await gate.opened
    return { run: runs }
  }
}

/** A module that does not import ours. */
@Module({ controllers: [ReportsController] })
class FeatureModule {}

@Controller('elsewhere')
class ElsewhereController extends ReportsController {}

/** Another one. */
@Module({ controllers: [ElsewhereController] })
class OtherFeatureModule {}

@Injectable()
class Config implements DspinlockOptionsFactory {
  readonly ttlMs = 60_000
  createDspinlockOptions(): Promise<DspinlockOptions> {
    return Promise.resolve({ duplicates: 'replay', ttlMs: this.ttlMs })
  }
}

@Module({ providers: [Config], exports: [Config] })
class ConfigModule {}

@Injectable()
class Reports {
  constructor(
    @InjectLockEngine() readonly engine: LockEngine,
    @InjectLockEngine('other') readonly other: LockEngine,
  ) {}
}

const options = { duplicates: 'replay', ttlMs: 60_000 } as const

const ways: Record<string, () => DynamicModule> = {
  forRoot: () => DspinlockModule.forRoot(options),
  'forRoot, not global': () => DspinlockModule.forRoot({ ...options, isGlobal: false }),
  'forRoot with an engine': () =>
    DspinlockModule.forRoot({ ...options, engine: new LockEngine({ store: memoryStore() }) }),
  useFactory: () =>
    DspinlockModule.forRootAsync({
      imports: [ConfigModule],
      inject: [Config],
      useFactory: (config: Config) => ({ duplicates: 'replay', ttlMs: config.ttlMs }),
    }),
  'useFactory with a promise': () => DspinlockModule.forRootAsync({ useFactory: () => Promise.resolve(options) }),
  useClass: () => DspinlockModule.forRootAsync({ useClass: Config }),
  useExisting: () => DspinlockModule.forRootAsync({ imports: [ConfigModule], useExisting: Config }),
}

for (const platform of platforms) {
  describe(`the module on ${platform.name}`, () => {
    let server: NestServer | undefined

    beforeEach(() => {
      runs = 0
      gate = new Gate()
    })
    afterEach(async () => {
      await server?.stop()
      server = undefined
    })

    for (const [way, make] of Object.entries(ways)) {
      it(`${way}: its options are those of a route in another module`, async () => {
        server = await startNest(platform, { imports: [make(), FeatureModule] })
        expect((await server.ask('/report')).body).to.equal('{"run":1}')
        expect((await server.ask('/report')).body).to.equal('{"run":1}')
      })
    }

    it('gives its engines to services, each by its name', async () => {
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot(), DspinlockModule.forRoot({ name: 'other' }), FeatureModule],
        providers: [Reports],
      })
      const { engine, other } = server.app.get(Reports)
      expect(engine).to.be.instanceOf(LockEngine)
      expect(other).to.be.instanceOf(LockEngine)
      expect(engine).not.to.equal(other)
      expect(server.app.get(getLockEngineToken())).to.equal(engine)
      expect(server.app.get(getLockEngineToken('other'))).to.equal(other)
    })

    it('sets on one store share its engine, so that their duplicates meet in this process', async () => {
      const store = memoryStore()
      server = await startNest(platform, {
        imports: [DspinlockModule.forRoot({ store }), DspinlockModule.forRoot({ store, name: 'other' })],
        providers: [Reports],
      })
      const { engine, other } = server.app.get(Reports)
      expect(engine).to.equal(other)
    })

    it('the interceptor can be taken from the application, and used for all routes', async () => {
      server = await startNest(platform, { imports: [DspinlockModule.forRoot(options), FeatureModule] }, app => {
        app.useGlobalInterceptors(app.get(DspinlockInterceptor))
      })
      expect((await server.ask('/report')).body).to.equal('{"run":1}')
      expect((await server.ask('/report')).body).to.equal('{"run":1}')
    })

    it('taken from there, it leaves decorated routes to what is bound to them', async () => {
      server = await startNest(
        platform,
        { imports: [DspinlockModule.forRoot(options), FeatureModule, OtherFeatureModule] },
        app => void app.useGlobalInterceptors(app.get(DspinlockInterceptor)),
      )
      for (const path of ['/counted', '/elsewhere/counted']) {
        passed = 0
        for (const _ of [1, 2]) expect((await server.ask(path)).body).to.equal('{"run":1}')
        expect(passed).to.equal(2)
        runs = 0
      }
    })

    it('taken from there too late, it changes nothing', async () => {
      server = await startNest(platform, { imports: [DspinlockModule.forRoot(options), FeatureModule] }, async app => {
        await app.init()
        app.useGlobalInterceptors(app.get(DspinlockInterceptor))
      })
      for (const _ of [1, 2]) expect((await server.ask('/report')).body).to.equal('{"run":1}')
    })

    it('going down: the holder finishes, waiters get 503, then the store is closed', async () => {
      const store = redisStore(redisUrl(), { prefix: `nest-close-${process.pid}-${Math.random()}` })
      server = await startNest(platform, { imports: [DspinlockModule.forRoot({ store }), FeatureModule] })
      const engine = server.app.get<LockEngine>(getLockEngineToken())
      const holder = server.ask('/held', json({}))
      await until(() => runs === 1, 'one runs')
      const waiter = server.ask('/held', json({}))
      await until(() => engine.waiters === 1, 'one waits')
      const closed = server.app.close()
      server = undefined
      const refused = await waiter
      expect([refused.status, (JSON.parse(refused.body) as { code: string }).code]).to.deep.equal([503, 'closing'])
      expect(store.closed).to.equal(false)
      gate.open()
      expect((await holder).status).to.equal(201)
      await closed
      expect([engine.closed, store.closed, runs]).to.deep.equal([true, true, 1])
    })

    it('going down with two sets: the waiters of one get 503 while holders of the other run', async () => {
      const closing = await startNest(platform, {
        imports: [DspinlockModule.forRoot(), DspinlockModule.forRoot({ name: 'other' }), FeatureModule],
        controllers: [OtherController],
      })
      const engines = ['default', 'other'].map(name => closing.app.get<LockEngine>(getLockEngineToken(name)))
      const ofEach = (): Promise<Answer>[] => ['/held', '/other/held'].map(path => closing.ask(path, json({})))
      const holders = ofEach()
      await until(() => runs === 2, 'one of each runs')
      const waiters = ofEach()
      await until(() => engines.every(({ waiters: waiting }) => waiting === 1), 'one of each waits')
      const closed = closing.app.close()
      expect((await Promise.all(waiters)).map(({ status }) => status)).to.deep.equal([503, 503])
      gate.open()
      expect((await Promise.all(holders)).map(({ status }) => status)).to.deep.equal([201, 201])
      await closed
      expect(runs).to.equal(2)
    })

    it('an engine that was given stays open, and so does its store', async () => {
      const engine = new LockEngine({ store: memoryStore() })
      server = await startNest(platform, { imports: [DspinlockModule.forRoot({ engine })] })
      await server.stop()
      server = undefined
      expect([engine.closed, engine.store.closed]).to.deep.equal([false, false])
      expect(await engine.run('key', () => 1)).to.equal(1)
    })
  })
}
