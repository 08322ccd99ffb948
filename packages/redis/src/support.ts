// Exports for dspinlock's own packages, which users of the store do not need.

export { withRemedy } from './failures.js'
export { readServer } from './server-check.js'
