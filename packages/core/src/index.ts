// The lock engine of dspinlock: what users of the package can import.

export type { Duplicates, EnterOptions, Entry, Hold } from './entry.js'
export * from './errors.js'
export * from './events.js'
export { type CallOptions, Policy, type PolicyOptions, policyOptionNames } from './policy.js'
export type * from './store.js'
