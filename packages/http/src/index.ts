// What adapters are made of.

export type { Exchange, RequestLock } from './exchange.js'
export { createGuard, type Guard } from './guard.js'
export type { Problem } from './messages.js'
export type { GuardOptions, IdentityOption } from './options.js'
export { type ParserResult, readParsedBody } from './parsed-body.js'
export { endWithoutResponse } from './request-state.js'
