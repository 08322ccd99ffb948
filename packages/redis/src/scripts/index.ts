// The one script of the store: any number of operations, each on one key, in one call.

import { createHash } from 'node:crypto'
import { operations } from './operations.js'
import { state } from './state.js'
import { steps } from './steps.js'

export { composeRow, type OperationName } from './operations.js'

export const source: string = `${state}${steps}${operations}`

/** What EVALSHA calls it by. */
export const sha: string = createHash('sha1').update(source).digest('hex')
