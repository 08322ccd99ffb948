// The lock engine of dspinlock: what users of the package can import.

export { type CloseOptions, type EngineOptions, LockEngine } from './engine.js'
export type { Duplicates, EnterOptions, Entry, Hold } from './entry.js'
export {
  ClosedError,
  DspinlockError,
  DuplicateError,
  HoldTimeoutError,
  LeaseLostError,
  RecordError,
  StoreError,
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
export { MemoryStore, type MemoryStoreOptions, memoryStore } from './memory-store.js'
export { type CallOptions, type EnginePolicyOptions, Policy, type PolicyOptions, policyOptionNames } from './policy.js'
export type { Codec, RunOptions, Task, TaskContext } from './run.js'
export type * from './store.js'
