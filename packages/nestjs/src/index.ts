// dspinlock for Nest 12 and 11, on Express and on Fastify: what users of the package can import.

export * from '@dspinlock/http/for-users'
export { CurrentLock, Dspinlock, SkipDspinlock } from './decorators.js'
export { Exclusive, type ExclusiveOptions } from './exclusive.js'
export { DspinlockGuard } from './guard.js'
export { DspinlockInterceptor } from './interceptor.js'
export {
  DspinlockModule,
  type DspinlockModuleAsyncOptions,
  type DspinlockModuleOptions,
  type DspinlockOptionsFactory,
  type ModuleExtras,
} from './module.js'
export type { DspinlockOptions, NestRequest, RouteOptions } from './options.js'
export { getLockEngineToken, InjectLockEngine } from './tokens.js'
