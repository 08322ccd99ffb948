// All middlewares against duplicates that are measured, other than dspinlock.

import { apicacheSubject } from './apicache.js'
import { expressIdempotency } from './express-idempotency.js'
import { nodeIdempotency } from './node-idempotency.js'
import type { Subject } from './subject.js'

export const alternatives: readonly Subject[] = [nodeIdempotency, expressIdempotency, apicacheSubject]

/** Middlewares that are known, but not measured. */
export const notInstalled: readonly { readonly what: string; readonly why: string }[] = [
  {
    what: 'idempot-js',
    why: 'not measured: of its packages the registry has @idempot/redis-store 1.0.8, but neither @idempot/core, on which that depends, nor @idempot/express-middleware',
  },
  {
    what: '@node-idempotency/express',
    why: 'not in the registry: its core and its stores are measured, mounted in Express as it does',
  },
]

export function findSubject(name: string): Subject {
  const subject = alternatives.find(candidate => candidate.name === name)
  if (subject === undefined) throw new Error(`no middleware is called ${name}`)
  return subject
}
