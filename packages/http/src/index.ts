// What adapters are made of.

export type { Exchange, RequestLock } from './exchange.js'
export { createGuard, type Guard } from './guard.js'
export { type Baseline, type Head, takeBaseline, takeHead } from './header-list.js'
export type { IdempotencyKeyOptions } from './idempotency-key.js'
export { type IdempotencyPolicy, idempotencyPolicy } from './idempotency-policy.js'
export type { Problem } from './messages.js'
export type { GuardOptions, IdentityOption } from './options.js'
export { listFiles, type ParsedFacts, standsForBody } from './parsed.js'
export type { BodyForm } from './record.js'
export { type Reply, sendReply, setHeaders } from './reply.js'
export type { Outcome, Settlement } from './settlement.js'
export { watchResponse } from './watch-response.js'
