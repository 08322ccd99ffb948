// The module: its options, its providers, and what it does when the application starts and ends.

import { boolean, isText, option } from '@dspinlock/core/support'
import {
  type BeforeApplicationShutdown,
  type ConfigurableModuleAsyncOptions,
  ConfigurableModuleBuilder,
  type DynamicModule,
  Inject,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common'
import { HttpAdapterHost, ModulesContainer } from '@nestjs/core'
import { teachAdapter } from './answered.js'
import { findSets } from './container.js'
import { checkApplication } from './explorer.js'
import { DspinlockGuard } from './guard.js'
import { DspinlockInterceptor } from './interceptor.js'
import { LockSet } from './lock-set.js'
import { mistakes } from './messages.js'
import { checkNestVersion } from './nest-version.js'
import { type AnyOptions, checkIsObject, copyOptions, type DspinlockOptions, type NestRequest } from './options.js'
import { DEFAULT_SET, getLockEngineToken, LOCK_SET } from './tokens.js'

/** Options of the module itself. */
export interface ModuleExtras {
  /** The name by which `@Dspinlock(name)`, `@InjectLockEngine(name)` and `@Exclusive(key, { name })` refer to these options. Default `'default'`. */
  readonly name?: string
  /** Whether other modules can inject the lock engine without importing this one. Default true. */
  readonly isGlobal?: boolean
}

export type DspinlockModuleOptions<Req = NestRequest, Res = unknown> = DspinlockOptions<Req, Res> & ModuleExtras

/** What the class given as `useClass` or `useExisting` has to implement. */
export interface DspinlockOptionsFactory<Req = NestRequest, Res = unknown> {
  createDspinlockOptions(): DspinlockOptions<Req, Res> | Promise<DspinlockOptions<Req, Res>>
}

export type DspinlockModuleAsyncOptions<Req = NestRequest, Res = unknown> = ConfigurableModuleAsyncOptions<
  DspinlockOptions<Req, Res>,
  'createDspinlockOptions'
> &
  ModuleExtras

const OPTIONS = Symbol('dspinlock options')

const { ConfigurableModuleClass } = new ConfigurableModuleBuilder<object>({ optionsInjectionToken: OPTIONS })
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createDspinlockOptions')
  .setExtras<Required<ModuleExtras>>({ name: DEFAULT_SET, isGlobal: true }, (definition, { name, isGlobal }) => {
    const engine = getLockEngineToken(name)
    return {
      ...definition,
      global: isGlobal,
      providers: [
        ...(definition.providers ?? []),
        {
          provide: LOCK_SET,
          useFactory: (options: AnyOptions) => new LockSet(name, options),
          inject: [OPTIONS],
        },
        { provide: engine, useFactory: (set: LockSet) => set.engine, inject: [LOCK_SET] },
        DspinlockInterceptor,
        DspinlockGuard,
      ],
      exports: [engine, DspinlockInterceptor, DspinlockGuard],
    }
  })
  .build()

/**
 * Import it once in the root module, and once more with a `name` for each further store or set of options. When the
 * application shuts down, holders finish, waiters are answered with 503, and the store that was given is closed.
 */
@Module({})
export class DspinlockModule implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  readonly #set: LockSet
  readonly #container: ModulesContainer
  readonly #adapterHost: HttpAdapterHost

  constructor(
    @Inject(LOCK_SET) set: LockSet,
    @Inject(ModulesContainer) container: ModulesContainer,
    @Inject(HttpAdapterHost) adapterHost: HttpAdapterHost,
  ) {
    this.#set = set
    this.#container = container
    this.#adapterHost = adapterHost
  }

  /** @throws TypeError for a wrong name, or a version of Nest that is not supported; other mistakes throw at bootstrap. */
  static forRoot<Req = NestRequest, Res = unknown>(options: DspinlockModuleOptions<Req, Res> = {}): DynamicModule {
    checkIsObject('forRoot()', options)
    return asModule(ConfigurableModuleClass.forRoot(checkExtras(copyOptions(options))))
  }

  /** @throws TypeError unless exactly one of useFactory, useClass and useExisting is given; else as forRoot. */
  static forRootAsync<Req = NestRequest, Res = unknown>(options: DspinlockModuleAsyncOptions<Req, Res>): DynamicModule {
    checkIsObject('forRootAsync()', options)
    const ways = (['useFactory', 'useClass', 'useExisting'] as const).filter(way => options[way] !== undefined)
    if (ways.length !== 1) throw mistakes.wrongAsyncOptions(ways)
    return asModule(ConfigurableModuleClass.forRootAsync(checkExtras(options) as object))
  }

  onModuleInit(): void {
    const { httpAdapter } = this.#adapterHost
    if (httpAdapter) teachAdapter(httpAdapter)
    if (findSets(this.#container)[0] === this.#set) checkApplication(this.#container)
  }

  /** Before the HTTP server closes, so that waiters still get an answer. Closes all sets at once: Nest ends one module before it asks the next. */
  async beforeApplicationShutdown(): Promise<void> {
    await Promise.all(findSets(this.#container).map(set => set.close()))
  }

  onApplicationShutdown(): Promise<void> {
    return this.#set.closeStore()
  }
}

function asModule(definition: DynamicModule): DynamicModule {
  return { ...definition, module: DspinlockModule }
}

const readName = option(DEFAULT_SET, 'a string that is not empty', isText)
const readIsGlobal = boolean(true)

function checkExtras<T extends ModuleExtras>(options: T): T {
  checkNestVersion()
  readName(options.name, 'name')
  readIsGlobal(options.isGlobal, 'isGlobal')
  return options
}
