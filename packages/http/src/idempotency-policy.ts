// What a team tells its clients about the keys that it accepts: the specification that the draft asks servers to publish.

import { wrongRulesError } from './idempotency-key.js'
import { type GuardOptions, readGuardOptions } from './options.js'
import { NOT_BEGUN } from './replayable.js'

/** Serve it as JSON, or its `text`; see draft-ietf-httpapi-idempotency-key-header-07, sections 2.3 and 2.5.2. */
export interface IdempotencyPolicy {
  readonly header: 'Idempotency-Key'
  readonly required: boolean
  readonly minLength: number
  readonly maxLength: number
  /** Source of the regular expression that a key must match, if there is one. */
  readonly pattern: string | undefined
  /** Whether the key must be in double quotes, as a structured-field string. */
  readonly strict: boolean
  /** For how long after the first answer a key is remembered, in seconds. */
  readonly expiresAfterSeconds: number
  /** What a retry gets while the first request is worked on: the first one's answer once it is there, or 409. */
  readonly whileInFlight: 'wait' | 'reject'
  /** Whether answers of 499, 500 and above are repeated as well; if not, a retry runs again. */
  readonly repeatsServerErrors: boolean
  readonly docsUrl: string | undefined
  /** The whole policy in English sentences. */
  readonly text: string
}

/**
 * The policy that follows from `options`, the ones given to the middleware.
 * @throws TypeError for wrong options, and for options without `idempotencyKey`.
 */
export function idempotencyPolicy<Req, Res>(options: GuardOptions<Req, Res>): IdempotencyPolicy {
  const { idempotencyKey: rules, policy, serverErrors } = readGuardOptions(options)
  if (rules === undefined) throw wrongRulesError('idempotencyKey', rules)
  const facts = {
    header: 'Idempotency-Key',
    ...rules,
    pattern: rules.pattern?.source,
    expiresAfterSeconds: policy.ttlMs / 1_000,
    whileInFlight: policy.waits ? 'wait' : 'reject',
    repeatsServerErrors: serverErrors === 'keep',
  } as const
  return Object.freeze({ ...facts, text: describe(facts) })
}

function describe(facts: Omit<IdempotencyPolicy, 'text'>): string {
  const form = facts.strict ? 'a string in double quotes' : 'a string, in double quotes or not,'
  const match = facts.pattern === undefined ? '' : `, matching ${facts.pattern}`
  return [
    `Requests that change something ${facts.required ? 'must' : 'may'} carry an Idempotency-Key: ${form} of ${facts.minLength} to ${facts.maxLength} characters${match}, such as a UUID: a new one for each operation, the same for its retries.`,
    `A retry gets the first answer, marked by Idempotent-Replayed: true, for ${facts.expiresAfterSeconds} seconds; after ${[...NOT_BEGUN].join(', ')}${facts.repeatsServerErrors ? '' : ' and 499 or above'} it is carried out again.`,
    `While the first request is under way, a retry ${facts.whileInFlight === 'wait' ? 'waits' : 'gets 409 with Retry-After'}.`,
    `A key with another payload gets 422, a malformed${facts.required ? ' or missing' : ''} key 400.`,
    facts.docsUrl === undefined ? '' : `More: ${facts.docsUrl}`,
  ]
    .join(' ')
    .trim()
}
