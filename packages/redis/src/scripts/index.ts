// The one script of the store: any number of operations, each on one key, in one call.

import { createHash } from 'node:crypto'
import { operations } from './operations.js'
import { variables } from './state.js'

export { composeClaim, composeGiven, composeRow, type OperationName, withMs } from './rows.js'
export { LONGEST_TTL_MS } from './state.js'

export const source: string = `${variables}${operations}`

/** The digest by which EVALSHA calls the script. */
export const sha: string = createHash('sha1').update(source).digest('hex')
