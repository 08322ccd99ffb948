// Exports for dspinlock's own packages, which users of the store do not need.

export { withRemedy } from './failures.js'
export { findUnfit } from './server-check.js'
