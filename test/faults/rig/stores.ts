// The ways in which a worker reaches Redis: which client, and what is behind the address.

import type { Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'

export const PREFIX = 'torture'

export const clientNames = ['ioredis'] as const
export type ClientName = (typeof clientNames)[number]

export interface Topology {
  readonly kind: 'single'
  readonly url: string
}

export interface OpenStore {
  readonly store: Store
  /** Closes the client, where it was made outside of the store. */
  close(): void | Promise<void>
}

export async function openStore(settings: {
  readonly topology: Topology
  readonly client: ClientName
  readonly minReplicas: number
}): Promise<OpenStore> {
  return { store: redisStore(settings.topology.url, { prefix: PREFIX }), close: () => {} }
}
