// What every adapter re-exports of the engine and of this package, so that users need not install anything else.

export {
  attachLogger,
  attachStructuredLogger,
  ClosedError,
  channels,
  DspinlockError,
  DuplicateError,
  type Duplicates,
  LockEngine,
  type Logger,
  type MemoryStoreOptions,
  memoryStore,
  type Store,
  StoreError,
  type StructuredLogger,
  WaiterLimitError,
  WaitTimeoutError,
} from '@dspinlock/core'
export type { RequestLock } from './exchange.js'
export type { IdempotencyKeyOptions } from './idempotency-key.js'
export { type IdempotencyPolicy, idempotencyPolicy } from './idempotency-policy.js'
export type { Problem } from './messages.js'
export type { IdentityOption } from './options.js'
