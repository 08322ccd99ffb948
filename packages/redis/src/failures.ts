// Which failures pass by themselves, and what to do about the others.

/** Redis error replies that a failover, a restart or a resharding explains. */
const PASSING_REPLY = /^(READONLY|LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|MOVED|ASK|UNBLOCKED|NOREPLICAS|BUSY )/

/** The clients' own errors while a connection is lost or a cluster changes, and the system's. */
const LOST_CONNECTION =
  /Socket closed|Socket timeout|client is (closed|offline)|Cannot send commands|timed out|Connection (error|timeout)|FatalError|AllConnectionsUnavailable|Disconnected|no node yet|Stream isn't writeable|Connection is closed|aborted due to connection close|Disconnects client|Command timed out|TimeoutError|max retries per request|Reached the max retries|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|None of startup nodes|None of the sentinels|root nodes are unavailable|No master node|Cluster isn't ready|Failed to refresh slots|Cluster ended|Too many Cluster redirections/i

/** The first pause between tries, doubled for each further one up to the second figure. */
export const RETRY_MS = [20, 200] as const

/** Trying the same command again may help. */
export function isPassing(error: unknown): boolean {
  const message = messageOf(error)
  return PASSING_REPLY.test(message) || LOST_CONNECTION.test(message)
}

/** It is a replica, or has become one. */
export function takesNoWrites(error: unknown): boolean {
  return messageOf(error).startsWith('READONLY')
}

/** Said on a connection that works: something else may be allowed. */
export function isForbidden(error: unknown): boolean {
  return messageOf(error).startsWith('NOPERM')
}

/** The script is not in the server's cache: new server, failover, SCRIPT FLUSH. */
export function isMissingScript(error: unknown): boolean {
  return messageOf(error).startsWith('NOSCRIPT')
}

/** The keys of one command are not on one node. */
export function isCrossSlot(error: unknown): boolean {
  return messageOf(error).startsWith('CROSSSLOT')
}

/** Adds what to do about it to the errors that only people can mend, and that do not say it yet. */
export function withRemedy(error: unknown): unknown {
  const message = messageOf(error)
  const remedy = remedies.find(([pattern]) => pattern.test(message))?.[1]
  if (remedy !== undefined && !message.includes(remedy)) return new Error(`${message}; ${remedy}`, { cause: error })
  return error instanceof Error && error.message === '' ? new Error(message, { cause: error }) : error
}

/** ioredis' own words name an option that is better left alone, and not what is wrong. */
const WITHOUT_CONNECTION = /Stream isn't writeable|Cluster isn't ready|Connection is closed|max retries per request/

/** All that it says is that there is no connection, and not why. */
export function isOffline(error: unknown): boolean {
  return WITHOUT_CONNECTION.test(messageOf(error))
}

/**
 * What a caller is told of a failure. `cause` undefined: there was no answer in time. `heard`: what the connection failed with
 * a moment ago, which says more.
 */
export function explainFailure(cause: unknown, heard: unknown, timeoutMs: number): unknown {
  const hasNone = isOffline(cause)
  if (cause !== undefined && !hasNone) return withRemedy(cause)
  const what = hasNone ? 'there is no connection' : noAnswer(timeoutMs)
  if (heard === undefined) {
    if (!hasNone) return new Error(what)
    return new Error(`${what}; check that Redis runs there, lets this client in, and whether it wants TLS`, { cause })
  }
  const told = messageOf(withRemedy(heard))
  const remedy = told === messageOf(heard) ? '; check that Redis runs there and lets this client in' : ''
  return new Error(`${what}; connecting failed with: ${told}${remedy}`, { cause: heard })
}

/** Nothing came back in time. */
export function noAnswer(timeoutMs: number): string {
  return `no answer within commandTimeoutMs (${timeoutMs})`
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /^NOPERM|ACL failure in script|The user executing the script can't/,
    'give the Redis user +eval +evalsha +publish +subscribe +time +get +set +del +pexpire +zadd +zrange +zrem +zscore, and the key and channel pattern of the prefix',
  ],
  [/^(NOAUTH|WRONGPASS)/, 'check user name and password of the connection'],
  [/DB index/, 'name a database that the server has: see its option databases'],
  [/^OOM/, 'Redis is out of memory: raise maxmemory, or shorten ttlMs and maxRecordBytes'],
  [/^(MISCONF|NOREPLICAS)/, 'Redis refuses writes: see its log'],
]

export function tooOldError(version: string, oldest: string): Error {
  return new Error(
    `the server is Redis ${version}, and the oldest that works is ${oldest}; use a newer Redis, or Valkey`,
  )
}

/** Nothing but its owner opens it again. */
export function closedError(): Error {
  return new Error(
    'The client is closed: its owner disconnected it, or its retryStrategy gave up; connect it before the store is used',
  )
}

/** A server's own words may hold anything, and go to a terminal. */
export function uselessWarning(error: unknown): string {
  return `Redis cannot be used: ${JSON.stringify(messageOf(error))}. While that lasts, requests are answered as onStoreError says, and locks fail; where only listening is refused, they wait longer`
}

/** What answered is not Redis, or not our script. */
export function unreadableError(): Error {
  return new Error('its script gave an answer that is none; is something else answering for Redis?')
}

/** What stood under one of the store's names was somebody else's. */
export function foreignDataWarning(prefix: string): string {
  return `Redis held something under the prefix ${JSON.stringify(prefix)} that dspinlock did not write; it was replaced. Use another prefix, or keep others out of this one`
}

/** A claim or renewal that too few replicas have: a failover could lose it. */
export function tooFewReplicasError(acknowledged: number, minReplicas: number, timeoutMs: number): Error {
  return new Error(
    `${acknowledged} of the ${minReplicas} replicas that minReplicas asks for acknowledged it within ${timeoutMs} ms; check that the server has that many in reach, or lower minReplicas`,
  )
}

/** Redis 6.2 wraps what a command in a script was refused with: `ERR Error running script (call to f_…): @user_script: 1: -READONLY …`. */
const WRAPPED = /^ERR Error running script \(call to \w+\): .*?-(?=[A-Z]+ )/

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message.replace(WRAPPED, '')
  // Node's, of a host with several addresses, has those of each; of the TimeoutError of node-redis only its class says what it is.
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : error.constructor.name
}
