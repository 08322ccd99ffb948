// What a lock library is to the harness: a key in, a way to let go of it out.

import type { Redis } from 'ioredis'

export type Release = () => unknown

export interface LockUser {
  /** Waits as the library does by default, and rejects when it gives up. */
  acquire(key: string): Promise<Release>
}

export interface LockLibrary {
  readonly name: string
  /** Its package, as it is resolved here. */
  readonly package: string
  /** By default settings, except that no lock ends by itself within a sample. */
  open(client: Redis, url: string): Promise<LockUser>
}

export const LEASE_MS = 10_000
