// The parts of a request that fingerprints are made of: a public POST to http://h/, with the changes that a test makes.

import type { FingerprintParts } from '@dspinlock/http/support'

export function partsOf(changes: Partial<FingerprintParts>): FingerprintParts {
  return {
    duplicates: 'replay',
    method: 'POST',
    host: 'h',
    url: '/',
    rewrittenUrl: undefined,
    version: undefined,
    contentType: undefined,
    contentEncoding: undefined,
    body: { kind: 'none' },
    identity: { kind: 'public' },
    customKey: undefined,
    idempotencyKey: undefined,
    variant: [],
    ...changes,
  }
}
