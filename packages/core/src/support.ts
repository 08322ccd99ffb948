// Exports for dspinlock's own packages, which users of the engine do not need: reading options, warning once and so on.

export { Closing } from './closing.js'
export { optionError, secretOptionError } from './errors.js'
export { type Linked, LinkedList } from './linked-list.js'
export { logByEnvironment } from './log-environment.js'
export * from './options.js'
export { isRootPrototype } from './root-prototype.js'
export { type RedisSettings, readRedisParameters } from './spinlock/redis-parameters.js'
export type { TraceChannel } from './trace-channel.js'
export { complete as completeTrace, holderOf, isTraced, traceOf } from './tracing.js'
export { warnOnce } from './warnings.js'
