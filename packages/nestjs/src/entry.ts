// What is kept with a guarded request: the mount that took it, the context, and its passage.

import type { ExecutionContext } from '@nestjs/common'
import type { Admission } from './exchange.js'
import { Passage } from './guarded-work.js'
import type { Mount } from './mount.js'
import { isHttp } from './target.js'

export interface Entry {
  /** The mount whose hooks are called. */
  readonly mount: Mount
  readonly context: ExecutionContext
  /** Undefined only until the mount has taken the request. */
  passage?: Passage
}

/** A property of the platform's request, so that the entry is freed with the request. */
const ENTRY = Symbol('dspinlock entry')

interface Entered {
  [ENTRY]?: Entry
}

export function setEntry(request: object, entry: Entry): void {
  ;(request as Entered)[ENTRY] = entry
}

/** Undefined for a request that is not guarded. */
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

/** Undefined if the request is not guarded, or not yet. */
export function findPassage(context: ExecutionContext): Passage | undefined {
  return isHttp(context) ? readEntry(context.getArgByIndex<object>(0))?.passage : undefined
}
