// What adapters are made of.

export type { Exchange, RequestLock } from './exchange.js'
export { createGuard, type Guard } from './guard.js'
export type { IdempotencyKeyOptions } from './idempotency-key.js'
export { type IdempotencyPolicy, idempotencyPolicy } from './idempotency-policy.js'
export type { Problem } from './messages.js'
export type { GuardOptions, IdentityOption } from './options.js'
