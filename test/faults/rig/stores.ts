// Opens a worker's store: with the client and the servers of the run.

import type { Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { type ClientName, connectClient, type Topology } from '../../support/redis-clients.js'

export const PREFIX = 'torture'

/** The name in Redis of a key of the rig; these keys need no escaping. */
export function stateOf(key: string): string {
  return `${PREFIX}:{=${key}}`
}

export interface OpenStore {
  readonly store: Store
  /** Closes the client if it was made outside of the store. */
  close(): Promise<void>
}

export async function openStore(settings: {
  readonly topology: Topology
  readonly client: ClientName | 'default'
  readonly minReplicas: number
}): Promise<OpenStore> {
  const { topology, client, minReplicas } = settings
  const options = { prefix: PREFIX, minReplicas }
  // The same as the store makes from a URL, with the settings that it prefers.
  if (client === 'default' && topology.kind === 'single') {
    return { store: redisStore(topology.url, options), close: async () => {} }
  }
  const connected = await connectClient(client === 'default' ? 'ioredis' : client, topology)
  return { store: redisStore(connected.connection(), options), close: () => connected.close() }
}
