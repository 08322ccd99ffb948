// Mistakes throw when the application starts, and the error says what to write instead.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  Dspinlock,
  DspinlockGuard,
  DspinlockInterceptor,
  DspinlockModule,
  type DspinlockModuleAsyncOptions,
  type DspinlockModuleOptions,
  Exclusive,
  InjectLockEngine,
  type LockEngine,
  type RouteOptions,
  SkipDspinlock,
} from '@dspinlock/nestjs'
import {
  Controller,
  Get,
  Injectable,
  type ModuleMetadata,
  Post,
  Scope,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common'
import { APP_GUARD, APP_INTERCEPTOR, REQUEST } from '@nestjs/core'
import { expect } from 'chai'
import { createNest, nestMajor, platforms } from '../support/nest.js'

/** The error with which starting an application fails. */
async function startError(metadata: ModuleMetadata): Promise<Error> {
  let app: Awaited<ReturnType<typeof createNest>> | undefined
  try {
    app = await createNest('express', metadata)
    await app.init()
  } catch (error) {
    return error as Error
  } finally {
    await app?.close().catch(() => {})
  }
  throw new Error('it started')
}

const thrownBy = (make: () => unknown): Error => {
  try {
    make()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

function controllerWith(...decorators: (ClassDecorator & MethodDecorator)[]): new () => object {
  class OrdersController {
    create(): void {}
  }
  Controller()(OrdersController)
  const descriptor = Object.getOwnPropertyDescriptor(OrdersController.prototype, 'create') as PropertyDescriptor
  for (const decorate of [...decorators, Post()]) decorate(OrdersController.prototype, 'create', descriptor)
  return OrdersController
}

describe(`misuse on Nest ${nestMajor}`, () => {
  it('the module is not imported: a decorated route', async () => {
    const { message } = await startError({ controllers: [controllerWith(Dspinlock())] })
    expect(message).to.match(/DspinlockInterceptor needs DspinlockModule.*imports: \[DspinlockModule\.forRoot/)
  })

  it('the module is imported without forRoot()', async () => {
    const { message } = await startError({ imports: [DspinlockModule], controllers: [controllerWith(Dspinlock())] })
    expect(message).to.include('options of DspinlockModule.forRoot()')
  })

  it('the module is not imported: an interceptor or a guard for all routes', async () => {
    for (const provider of [
      { provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor },
      { provide: APP_GUARD, useClass: DspinlockGuard },
    ]) {
      const { message } = await startError({ providers: [provider] })
      expect(message).to.match(/needs DspinlockModule, which is not imported/)
    }
  })

  it('the module is not imported: an engine, or a method that needs one', async () => {
    @Injectable()
    class Service {
      constructor(@InjectLockEngine() readonly engine: LockEngine) {}
    }
    @Injectable()
    class Exclusively {
      @Exclusive('key', { name: 'other' }) async work(): Promise<void> {}
    }
    expect((await startError({ providers: [Service] })).message).to.contain('"LockEngine of DspinlockModule.forRoot()"')
    expect((await startError({ providers: [Exclusively] })).message).to.contain(
      'LockEngine of DspinlockModule.forRoot({ name: "other" })',
    )
  })

  it('a name that no module has', async () => {
    const { message } = await startError({
      imports: [DspinlockModule.forRoot()],
      controllers: [controllerWith(Dspinlock('reports'))],
    })
    expect(message).to.match(/OrdersController\.create names the set "reports", but there is only "default"/)
    expect(message).to.contain('DspinlockModule.forRoot({ name: "reports" })')
    for (const scope of [Scope.DEFAULT, Scope.REQUEST]) {
      const global = await startError({
        imports: [DspinlockModule.forRoot({ name: 'reports' })],
        providers: [{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor, scope }],
      })
      expect(global.message).to.match(/DspinlockInterceptor names the set "default", but there is only "reports"/)
    }
  })

  it('two modules with one name', async () => {
    const { message } = await startError({ imports: [DspinlockModule.forRoot(), DspinlockModule.forRoot()] })
    expect(message).to.match(/imported twice with the name "default"; give one of them another name/)
  })

  it('a decorator on what handles no route', async () => {
    @Controller()
    class Plain {
      @Get() get(): void {}
      @Dspinlock() helper(): void {}
    }
    @Injectable()
    class Service {
      @SkipDspinlock() work(): void {}
    }
    @Injectable()
    @Dspinlock()
    class Whole {}
    const imports = [DspinlockModule.forRoot()]
    expect((await startError({ imports, controllers: [Plain] })).message).to.match(
      /on Plain\.helper, which handles no HTTP route; .*@Exclusive/,
    )
    expect((await startError({ imports, providers: [Service] })).message).to.match(/on Service\.work/)
    expect((await startError({ imports, providers: [Whole] })).message).to.match(/class Whole, which is no controller/)
  })

  it('two exclusive methods of one name, each of which would get what the other made', async () => {
    const makeService = (made: string): (new () => object) => {
      @Injectable()
      class Cache {
        @Exclusive('all', { duplicates: 'replay', ttlMs: 60_000 })
        async list(): Promise<string> {
          return made
        }
      }
      return Cache
    }
    const [users, orders] = [makeService('users'), makeService('orders')]
    const imports = [DspinlockModule.forRoot()]
    const { message } = await startError({ imports, providers: [users, { provide: 'orders', useClass: orders }] })
    expect(message).to.match(/two methods that are called Cache\.list.*; give one of their classes another name/)
  })

  it('two classes of one name that inherit such a method', async () => {
    abstract class Repository {
      abstract made(): string
      @Exclusive('all', { duplicates: 'replay', ttlMs: 60_000 })
      async list(): Promise<string> {
        return this.made()
      }
    }
    const makeService = (made: string): (new () => Repository) => {
      @Injectable()
      class Cache extends Repository {
        made(): string {
          return made
        }
      }
      return Cache
    }
    const [users, orders] = [makeService('users'), makeService('orders')]
    const imports = [DspinlockModule.forRoot()]
    const { message } = await startError({ imports, providers: [users, { provide: 'orders', useClass: orders }] })
    expect(message).to.match(/two methods that are called Cache Repository\.list.*; give one of their classes another/)
  })

  it('a decorator on what is no method', () => {
    const property = Dspinlock() as unknown as PropertyDecorator
    expect(thrownBy(() => property({}, 'field')).message).to.match(/@Dspinlock\(\) belongs on a controller or a route/)
    const exclusive = Exclusive('key') as unknown as PropertyDecorator
    expect(thrownBy(() => exclusive({}, 'field')).message).to.match(/@Exclusive\(\) belongs on a method/)
    expect(thrownBy(() => Exclusive(undefined as unknown as string)).message).to.match(
      /option key of @Exclusive\(\) must be .*received undefined/,
    )
    expect(thrownBy(() => Exclusive('key', { waitMs: -1 })).message).to.match(/option waitMs/)
  })

  it('an exclusive method that is static', () => {
    const define = (): object => {
      class Ledger {
        @Exclusive('key') static async book(): Promise<void> {}
      }
      return Ledger
    }
    expect(thrownBy(define).message).to.match(/@Exclusive\(\) is on the static method Ledger\.book.* engine\.run\(\)/)
  })

  it('wrong options of a route, named with the route', async () => {
    const start = (options: object): Promise<Error> =>
      startError({
        imports: [DspinlockModule.forRoot()],
        controllers: [controllerWith(Dspinlock(options as RouteOptions))],
      })
    expect((await start({ ttlMs: -1 })).message).to.match(
      /option ttlMs must be .* received -1 .*OrdersController\.create/,
    )
    expect((await start({ duplicate: 'replay' })).message).to.match(/unknown option "duplicate"/)
    expect((await start({ store: {} })).message).to.match(/store, which belongs in DspinlockModule\.forRoot\(\)/)
  })

  it('wrong options of the module', async () => {
    const wrong = { duplicates: 'never' } as unknown as DspinlockModuleOptions
    expect((await startError({ imports: [DspinlockModule.forRoot(wrong)] })).message).to.match(/option duplicates/)
    expect(thrownBy(() => DspinlockModule.forRoot({ name: '' })).message).to.match(/option name .*received ""$/)
    const local = { isGlobal: 'no' } as unknown as DspinlockModuleOptions
    expect(thrownBy(() => DspinlockModule.forRoot(local)).message).to.match(/option isGlobal .*received "no"/)
    const none = {} as unknown as DspinlockModuleAsyncOptions
    expect(thrownBy(() => DspinlockModule.forRootAsync(none)).message).to.match(
      /one of useFactory, useClass, useExisting/,
    )
    const empty = DspinlockModule.forRootAsync({ useFactory: () => undefined as unknown as object })
    expect((await startError({ imports: [empty] })).message).to.match(/must return an object of options/)
  })

  it('options that depend on the request, beside other sets or alone', async () => {
    const scoped = DspinlockModule.forRootAsync({ name: 'scoped', inject: [REQUEST], useFactory: () => ({}) })
    for (const imports of [[scoped], [DspinlockModule.forRoot(), scoped]]) {
      expect((await startError({ imports })).message).to.match(/the options of DspinlockModule depend on a provider/)
    }
  })

  it('something else in place of options', () => {
    for (const wrong of [null, 5, [], true]) {
      const given = wrong as unknown as undefined
      for (const call of [
        () => DspinlockModule.forRoot(given),
        () => DspinlockModule.forRootAsync(given as unknown as DspinlockModuleAsyncOptions),
        () => Dspinlock(given),
        () => Dspinlock('default', given),
        () => Exclusive('key', given),
      ]) {
        expect(thrownBy(call).message).to.match(/argument of @?\w+\(\) must be an object of options, but received/)
      }
    }
  })

  it('the guard on a route that does not only refuse', async () => {
    const guarded = (options: RouteOptions): Promise<Error> =>
      startError({
        imports: [DspinlockModule.forRoot()],
        controllers: [
          controllerWith(UseGuards(DspinlockGuard) as MethodDecorator & ClassDecorator, Dspinlock(options)),
        ],
      })
    expect((await guarded({ duplicates: 'replay' })).message).to.match(
      /OrdersController\.create has DspinlockGuard, which can only refuse/,
    )
  })

  it('the guard where the module wants a key, which it would not ask for', async () => {
    const imports = [DspinlockModule.forRoot({ idempotencyKey: 'required' })]
    const guard = UseGuards(DspinlockGuard) as MethodDecorator & ClassDecorator
    const message = /has DspinlockGuard, .*so idempotencyKey of DspinlockModule would mean nothing there; use Dspin/
    expect((await startError({ imports, controllers: [controllerWith(guard)] })).message).to.match(message)
    const providers = [{ provide: APP_GUARD, useClass: DspinlockGuard }]
    expect((await startError({ imports, providers })).message).to.match(message)
    const controllers = [controllerWith(guard, Dspinlock({ duplicates: 'reject' }))]
    const app = await createNest('express', { imports, controllers })
    await app.init()
    await app.close()
  })

  it('a decorator that puts another method in place of ours', async () => {
    const wrap: MethodDecorator = (_target, _name, descriptor) => {
      const { value } = descriptor as PropertyDescriptor
      const wrapped = (...args: unknown[]): unknown => Reflect.apply(value as () => unknown, undefined, args)
      Object.assign(descriptor, { value: wrapped })
    }
    @Controller()
    class Wrapped {
      @Post('a') @wrap @Dspinlock() create(): void {}
    }
    @Controller()
    class Excepted {
      @Post('b') @wrap @SkipDspinlock() create(): void {}
    }
    @Controller()
    class Right {
      @Post('c') @Dspinlock() @wrap create(): void {}
    }
    class Overriding extends Right {
      override create(): void {}
    }
    Controller('overriding')(Overriding)
    const imports = [DspinlockModule.forRoot()]
    for (const controller of [Wrapped, Excepted]) {
      expect((await startError({ imports, controllers: [controller] })).message).to.match(
        new RegExp(`on ${controller.name}.create has no effect, .* write @Dspinlock\\(\\) above that decorator$`),
      )
    }
    const app = await createNest('express', { imports, controllers: [Right, Overriding] })
    await app.init()
    await app.close()
  })

  it('a subclass below the decorator, where its identity would not count', async () => {
    @Injectable()
    class TenantInterceptor extends DspinlockInterceptor {
      protected override getIdentity(): string {
        return 'a tenant'
      }
    }
    const bound = UseInterceptors(TenantInterceptor) as MethodDecorator & ClassDecorator
    const imports = [DspinlockModule.forRoot()]
    const { message } = await startError({ imports, controllers: [controllerWith(bound, Dspinlock())] })
    expect(message).to.match(
      /@UseInterceptors\(TenantInterceptor\) is below @Dspinlock\(\) on OrdersController\.create, .*on the line above/,
    )
    const app = await createNest('express', { imports, controllers: [controllerWith(Dspinlock(), bound)] })
    await app.init()
    await app.close()
  })

  it('a decorator on a route of a method that is not among those of the module', async () => {
    @Controller()
    class Reports {
      @Get() @Dspinlock({ duplicates: 'replay' }) report(): void {}
    }
    const imports = [DspinlockModule.forRoot({ methods: ['POST', 'PUT'] })]
    expect((await startError({ imports, controllers: [Reports] })).message).to.match(
      /on Reports\.report guards nothing, because methods names POST, PUT only, .*write @Dspinlock\(\{ methods: \['GET'\] \}\)/,
    )
  })

  it('options that contradict what a subclass defines, or what there is for all routes', async () => {
    @Injectable()
    class OrderInterceptor extends DspinlockInterceptor {
      protected override getKey(): string {
        return 'an order'
      }
    }
    const contradiction = /option key must be left out with idempotencyKey, .*OrderInterceptor for all routes/
    for (const scope of [Scope.DEFAULT, Scope.REQUEST]) {
      const { message } = await startError({
        imports: [DspinlockModule.forRoot({ idempotencyKey: 'optional' })],
        providers: [{ provide: APP_INTERCEPTOR, useClass: OrderInterceptor, scope }],
      })
      expect(message).to.match(contradiction)
    }
    const app = await createNest('express', { imports: [DspinlockModule.forRoot({ name: 'reports' })] })
    app.useGlobalInterceptors(app.get(DspinlockInterceptor))
    const error = await app.init().then(
      () => undefined,
      (reason: unknown) => reason as Error,
    )
    expect(error?.message).to.match(/DspinlockInterceptor names the set "default", but there is only "reports"/)
  })

  it('an interceptor that was made by hand', async () => {
    const made = UseInterceptors(new DspinlockInterceptor()) as MethodDecorator & ClassDecorator
    const { message } = await startError({
      imports: [DspinlockModule.forRoot()],
      controllers: [controllerWith(made)],
    })
    expect(message).to.match(/DspinlockInterceptor on OrdersController\.create was not made by Nest; give the class/)
  })

  it('a decorator without parentheses, which would guard nothing', () => {
    for (const made of [Dspinlock, SkipDspinlock]) {
      const bare = made as unknown as ClassDecorator & MethodDecorator
      const message = `dspinlock: @${made.name}() is written without parentheses, and so decorates nothing; write @${made.name}()`
      expect(thrownBy(() => controllerWith(bare)).message).to.equal(message)
      expect(thrownBy(() => bare(class Orders {})).message).to.equal(message)
    }
  })

  it('a version of Nest that is not supported', () => {
    const root = mkdtempSync(join(tmpdir(), 'dspinlock-nest10-'))
    const modules = join(root, 'node_modules')
    mkdirSync(join(modules, '@nestjs/core'), { recursive: true })
    mkdirSync(join(modules, '@dspinlock'))
    const real = (name: string): string => fileURLToPath(new URL(import.meta.resolve(name)))
    const packageOf = (name: string): string => join(real(name), '../..')
    cpSync(packageOf('@dspinlock/nestjs'), join(modules, '@dspinlock/nestjs'), { recursive: true })
    for (const name of ['core', 'http']) symlinkSync(packageOf(`@dspinlock/${name}`), join(modules, '@dspinlock', name))
    symlinkSync(join(real('@nestjs/common'), '..'), join(modules, '@nestjs/common'))
    symlinkSync(join(packageOf('rxjs'), '..'), join(modules, 'rxjs'))
    writeFileSync(
      join(modules, '@nestjs/core/package.json'),
      JSON.stringify({
        name: '@nestjs/core',
        version: '10.4.0',
        type: 'module',
        exports: { '.': './index.js', './package.json': './package.json' },
      }),
    )
    writeFileSync(
      join(modules, '@nestjs/core/index.js'),
      `export * from ${JSON.stringify(import.meta.resolve('@nestjs/core'))}`,
    )
    writeFileSync(
      join(root, 'main.mjs'),
      "import { DspinlockModule } from '@dspinlock/nestjs'\ntry { DspinlockModule.forRoot() } catch (error) { console.log(error.message) }",
    )
    const told = execFileSync(process.execPath, [join(root, 'main.mjs')], { encoding: 'utf8' })
    expect(told).to.match(/@nestjs\/core 10\.4\.0 is not supported; @dspinlock\/nestjs is for Nest 11 and 12/)
  })

  it('is none that a controller is a provider, too, nor that a route refuses where the module replays for HEAD', async () => {
    const controller = controllerWith(Dspinlock({ duplicates: 'reject' }))
    const app = await createNest('express', {
      imports: [DspinlockModule.forRoot({ duplicates: 'replay', ttlMs: 60_000, headFromGet: true })],
      controllers: [controller],
      providers: [controller, { provide: APP_GUARD, useClass: DspinlockGuard }],
    })
    await app.init()
    await app.close()
  })

  it('tells nothing of this to whom it does not concern', async () => {
    expect(platforms.length).to.equal(2)
    class Base {
      @Exclusive('one') async work(): Promise<void> {}
    }
    @Injectable()
    class First extends Base {}
    @Injectable()
    class Second extends Base {}
    const app = await createNest('fastify', {
      imports: [DspinlockModule.forRoot()],
      controllers: [controllerWith(Dspinlock())],
      providers: [First, Second, { provide: 'again', useClass: First }],
    })
    await app.init()
    await app.close()
  })
})
