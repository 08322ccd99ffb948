// The lock engine of dspinlock: what users of the package can import.

export { type CloseOptions, type EngineOptions, LockEngine } from './engine.js'
export type { Duplicates, EnterOptions, Entry, Hold } from './entry.js'
export {
  ClosedError,
  DspinlockError,
  DuplicateError,
  HoldTimeoutError,
  InvalidReleaseError,
  InvalidStateError,
  InvalidValueError,
  KeyExistsError,
  LeaseLostError,
  NotHashableError,
  RecordError,
  StoreError,
  StoreNotInitialisedError,
  TriesExceededError,
  WaiterLimitError,
  WaitTimeoutError,
} from './errors.js'
export {
  channels,
  type EndEvent,
  type EnterEvent,
  type ForgetEvent,
  type LostEvent,
  publishTrouble,
  type TroubleEvent,
} from './events.js'
export {
  attachLogger,
  attachStructuredLogger,
  type LogFields,
  type LogFilter,
  type Logger,
  type StructuredLogger,
} from './logger.js'
export { MemoryStore, type MemoryStoreOptions, memoryStore } from './memory-store.js'
export {
  type AbortListener,
  type CallOptions,
  type Cancellation,
  type EnginePolicyOptions,
  Policy,
  type PolicyOptions,
  policyOptionNames,
} from './policy.js'
export type { Codec, RunOptions, Task, TaskContext } from './run.js'
export {
  type AcquireOptions,
  type DeleteStateOptions,
  DSpinlockBase,
  type SpinlockContext,
} from './spinlock/base.js'
export { closeSpinlocks } from './spinlock/engines.js'
export { hashValue } from './spinlock/hash.js'
export { HashDSpinlock } from './spinlock/hash-dspinlock.js'
export type { RedisNode, RedisParameters } from './spinlock/redis-parameters.js'
export { type Blocked, type SpinlockRecord, SpinlockState } from './spinlock/states.js'
export type { SpinlockOptions, Tunables } from './spinlock/tunables.js'
export type * from './store.js'
export { type EnterTrace, type HoldTrace, tracing } from './tracing.js'
