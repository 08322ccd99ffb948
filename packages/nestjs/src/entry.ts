// What is kept with a guarded request: by whom and in which context it was taken, and what becomes of it.

import type { ExecutionContext } from '@nestjs/common'
import type { Admission } from './exchange.js'
import { Passage } from './guarded-work.js'
import type { Mount } from './mount.js'
import { isHttp } from './target.js'

export interface Entry {
  /** For the hooks. */
  readonly mount: Mount
  readonly context: ExecutionContext
  /** Of an interceptor; a guard has none. */
  passage?: Passage
}

/** A property of the platform's request, so that all of it goes with the request. */
const ENTRY = Symbol('dspinlock entry')

interface Entered {
  [ENTRY]?: Entry
}

export function setEntry(request: object, entry: Entry): void {
  ;(request as Entered)[ENTRY] = entry
}

/** Undefined for a request that nobody guards. */
export function readEntry(request: object): Entry | undefined {
  return (request as Entered)[ENTRY]
}

/** For a request with an entry. */
export function openPassage(admission: Admission): Passage {
  const passage = new Passage(admission)
  const entry = readEntry(admission.target.request)
  if (entry !== undefined) entry.passage = passage
  return passage
}

/** Undefined where no interceptor has taken the request, or not yet. */
export function findPassage(context: ExecutionContext): Passage | undefined {
  return isHttp(context) ? readEntry(context.getArgByIndex<object>(0))?.passage : undefined
}
