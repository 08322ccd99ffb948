// A request as fingerprints are made of it: a POST of everybody to http://h/, with whatever a test changes about it.

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
