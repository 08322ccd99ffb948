// How a worker opens its store: through the client and to the servers that the run is about.

import type { Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { type ClientName, connectClient, type Topology } from '../../support/redis-clients.js'

export const PREFIX = 'torture'

/** How Redis knows a key of the rig; these need no escaping. */
export function stateOf(key: string): string {
  return `${PREFIX}:{=${key}}`
}

export interface OpenStore {
  readonly store: Store
  /** Closes the client, where it was made outside of the store. */
  close(): Promise<void>
}

export async function openStore(settings: {
  readonly topology: Topology
  readonly client: ClientName | 'default'
  readonly minReplicas: number
}): Promise<OpenStore> {
  const { topology, client, minReplicas } = settings
  const options = { prefix: PREFIX, minReplicas }
  // What a URL alone makes, with the settings that the store prefers.
  if (client === 'default' && topology.kind === 'single') {
    return { store: redisStore(topology.url, options), close: async () => {} }
  }
  const connected = await connectClient(client === 'default' ? 'ioredis' : client, topology)
  return { store: redisStore(connected.connection(), options), close: () => connected.close() }
}
