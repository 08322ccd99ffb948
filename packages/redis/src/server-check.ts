// Asks the server, once it is reached, whether the store works on it, and whether it is a cluster.

import type { StoreClient } from './clients/client.js'
import { tooOldError } from './messages.js'

/** Redis 6.2 is the oldest version that is tested and still in use; Valkey began at 7.2, and has its version in the same field. */
const OLDEST = [6, 2] as const

export interface ServerFacts {
  /** The reason why the store cannot work on the server; undefined if it can, or if the version is not known. */
  readonly unfit: Error | undefined
  /** It is a node of a cluster, also where a client takes it for a single server. Valkey calls the field `server_mode`. */
  readonly isCluster: boolean
}

export async function readServer(client: Pick<StoreClient, 'send'>): Promise<ServerFacts> {
  let info: string
  try {
    info = String(await client.send(undefined, ['INFO', 'server']))
  } catch {
    // The user may not use INFO, or the connection was lost again; commands will tell.
    return { unfit: undefined, isCluster: false }
  }
  return { unfit: findUnfit(info), isCluster: /^(?:redis|server)_mode:cluster/m.test(info) }
}

function findUnfit(info: string): Error | undefined {
  const version = /redis_version:(\d+)\.(\d+)[^\r\n]*/.exec(info)
  if (version === null) return undefined
  const [major, minor] = [Number(version[1]), Number(version[2])]
  const isOldEnough = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
  return isOldEnough ? undefined : tooOldError(version[0].slice('redis_version:'.length), OLDEST.join('.'))
}
