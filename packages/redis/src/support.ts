// The parts that dspinlock's own packages need, and users of the store do not.

export { withRemedy } from './failures.js'
export { findUnfit } from './server-check.js'
