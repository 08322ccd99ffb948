// A lock library as the harness sees it: takes a key, and returns a function that releases it.

import type { Redis } from 'ioredis'

export type Release = () => unknown

export interface LockUser {
  /** Waits as the library does by default, and rejects when it gives up. */
  acquire(key: string): Promise<Release>
}

export interface LockLibrary {
  readonly name: string
  /** Its package, as resolved from here. */
  readonly package: string
  /** With default settings, except that no lock ends by itself within a sample. */
  open(client: Redis, url: string): Promise<LockUser>
}

export const LEASE_MS = 10_000
