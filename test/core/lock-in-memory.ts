// A process whose locks have no connection, for the test of the hint.

import { HashDSpinlock } from '@dspinlock/core'

let inside = 0
let most = 0
const work = async (): Promise<void> => {
  most = Math.max(most, ++inside)
  await new Promise(resolve => setImmediate(resolve))
  inside--
}
await Promise.all([1, 2, 3].map(() => new HashDSpinlock('memory').run(work)))
process.stdout.write(`${most} at most`)
