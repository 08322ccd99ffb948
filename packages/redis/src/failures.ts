// Which failures pass by themselves, and what to do about the others.

/** Redis error replies that a failover, a restart or a resharding explains. */
const PASSING_REPLY = /^(READONLY|LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|MOVED|ASK|UNBLOCKED|NOREPLICAS|BUSY )/

/** ioredis' own errors while a connection is lost, and the system's. */
const LOST_CONNECTION =
  /Stream isn't writeable|Connection is closed|Command timed out|max retries per request|Reached the max retries|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|None of startup nodes|Cluster isn't ready|Failed to refresh slots|Cluster ended/i

/** Trying the same command again may help. */
export function isPassing(error: unknown): boolean {
  const message = messageOf(error)
  return PASSING_REPLY.test(message) || LOST_CONNECTION.test(message)
}

/** The script is not in the server's cache: new server, failover, SCRIPT FLUSH. */
export function isMissingScript(error: unknown): boolean {
  return messageOf(error).startsWith('NOSCRIPT')
}

/** Adds what to do about it to the errors that only people can mend. */
export function withRemedy(error: unknown): unknown {
  const message = messageOf(error)
  const remedy = remedies.find(([pattern]) => pattern.test(message))?.[1]
  return remedy === undefined ? error : new Error(`${message}; ${remedy}`, { cause: error })
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /^NOPERM/,
    'give the Redis user +eval +evalsha +publish +subscribe +time, the hash and sorted-set commands, and the key and channel pattern of the prefix',
  ],
  [/^(NOAUTH|WRONGPASS)/, 'check user name and password of the connection'],
  [/^OOM/, 'Redis is out of memory: raise maxmemory, or shorten ttlMs and maxRecordBytes'],
  [/^(MISCONF|NOREPLICAS)/, 'Redis refuses writes: see its log'],
]

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
