// Checks, once the server is reached, whether the store works on it.

import type { StoreClient } from './clients/client.js'
import { tooOldError } from './messages.js'

/** Redis 6.2 is the oldest version that is tested and still in use; Valkey began at 7.2, and has its version in the same field. */
const OLDEST = [6, 2] as const

/** The reason why the store cannot work on the server; undefined if it can, or if the version is not known. */
export async function findUnfit(client: Pick<StoreClient, 'send'>): Promise<Error | undefined> {
  let info: string
  try {
    info = String(await client.send(undefined, ['INFO', 'server']))
  } catch {
    // The user may not use INFO, or the connection was lost again; commands will tell.
    return undefined
  }
  const version = /redis_version:(\d+)\.(\d+)[^\r\n]*/.exec(info)
  if (version === null) return undefined
  const [major, minor] = [Number(version[1]), Number(version[2])]
  const isOldEnough = major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
  return isOldEnough ? undefined : tooOldError(version[0].slice('redis_version:'.length), OLDEST.join('.'))
}
