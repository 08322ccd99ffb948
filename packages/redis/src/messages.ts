// Every message of this package that a user can see, except what the readers of options say an option must be.

/** What to do about the errors that only people can mend. */
export const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /^NOPERM|ACL failure in script|The user executing the script can't/,
    'give the Redis user +eval +evalsha +publish +subscribe +pubsub|numsub +ping +time +get +set +del +pexpire +zadd +zpopmin +zrange +zrem +zscore +info +scan +wait, and the key and channel pattern of the prefix',
  ],
  [/^(NOAUTH|WRONGPASS)/, 'check user name and password of the connection'],
  [/^Protocol error|Unknown RESP type/, 'something other than Redis answers there: check host and port'],
  [/DB index/, 'name a database that the server has: see its option databases'],
  [/^OOM/, 'Redis is out of memory: raise maxmemory, or shorten ttlMs and maxRecordBytes'],
  [/^MOVED/, 'the server is one of a Redis Cluster: use a client for clusters (on the command line, --cluster)'],
  [
    /cluster support disabled/,
    'the server is in no Redis Cluster: use a client for one server (on the command line, --url)',
  ],
  [/^MISCONF/, 'Redis refuses writes: see its log'],
  [/^NOREPLICAS/, 'Redis refuses writes: see its options min-replicas-to-write and min-replicas-max-lag'],
  [/^READONLY/, 'the server is a replica: connect to its master'],
  [
    /^The queue is full|maximum inflight requests/,
    "the client has too many commands under way: raise node-redis' commandsQueueMaxLength or GLIDE's inflightRequestsLimit, or find out what makes Redis slow",
  ],
  [
    /EMFILE/,
    'this process has too many files and connections open: raise its limit (ulimit -n), or find what leaves them open',
  ],
  [/max number of clients/, 'raise maxclients of Redis, or find out who has so many connections'],
]

/** For an operation without an answer in time. */
export function noAnswer(timeoutMs: number): string {
  return `no answer within commandTimeoutMs (${timeoutMs})`
}

/** What to check if there is no connection: `unknown` if nothing is known about the cause, `known` if there was an error. */
export const reachHints: Readonly<Record<'unknown' | 'known', string>> = Object.freeze({
  unknown: 'check that Redis runs there, lets this client in, and whether it wants TLS',
  known: 'check that Redis runs there and lets this client in',
})

/** `where` must not contain a password. */
export function noConnectionMessage(connectTimeoutMs: number, where: string): string {
  return `no connection to ${where} within ${connectTimeoutMs} ms (connectTimeoutMs); ${reachHints.known}`
}

export function tooOldError(version: string, oldest: string): Error {
  return new Error(
    `the server is Redis ${version}, and the oldest that works is ${oldest}; use a newer Redis, or Valkey`,
  )
}

/** For a closed client of ioredis, which only its owner can open again. */
export function closedError(): Error {
  return new Error(
    'The client is closed: its owner disconnected it, or its retryStrategy gave up; connect it before the store is used',
  )
}

/** Has the text of ioredis' own error, so that it is recognised as that. */
export function cutOffError(): Error {
  return new Error('Connection is closed.')
}

/** For a client of node-redis that is not connected. */
export function notConnectedError(): Error {
  return new Error('The client is closed: await its connect() before the store is used')
}

/** `why` is quoted, because a server's message may contain anything, and goes to a terminal. */
export function uselessWarning(why: string): string {
  return `Redis cannot be used: ${JSON.stringify(why)}. While that lasts, requests are answered as onStoreError says, and locks fail; where only listening is refused, they wait longer`
}

export function manyStoresWarning(count: number): string {
  return `${count} stores of redisStore() are open, each with connections of its own. Make one at start, and give it to all; not one for each request`
}

/** For an answer that is not from Redis, or not from our script. */
export function unreadableError(): Error {
  return new Error('its script gave an answer that cannot be read; is something else answering for Redis?')
}

/** For data under one of the store's names that another program wrote. */
export function foreignDataWarning(prefix: string): string {
  return `Redis held something under the prefix ${JSON.stringify(prefix)} that dspinlock did not write; it was replaced. Use another prefix, or keep others out of this one`
}

/** For a claim or renewal that too few replicas have, so that a failover could lose it. */
export function tooFewReplicasError(acknowledged: number, minReplicas: number, timeoutMs: number): Error {
  return new Error(
    `${acknowledged} of the ${minReplicas} replicas that minReplicas asks for acknowledged it within ${timeoutMs} ms; check that the server has that many in reach, or lower minReplicas`,
  )
}

/** For an option of the store that was given among those of the connection. */
export function misplacedOptionError(name: string): TypeError {
  return new TypeError(
    `dspinlock: the option ${name} is none of the connection, which would ignore it; give it to redisStore as its second argument: redisStore(connection, { ${name}: … })`,
  )
}

export function foreignOptionError(name: string): TypeError {
  return new TypeError(
    `dspinlock: the option ${name} is none of ioredis, which would ignore it; give redisStore the URL itself, ioredis options, or what createRedisConnection({ url, ssl, cluster, … }) resolves to`,
  )
}

export function wrongUrlError(expected: string): TypeError {
  return new TypeError(
    `dspinlock: the connection must be ${expected}; what was received is none (not shown: it may hold a password)`,
  )
}

/** A pool of connections may send a command and its WAIT over two different connections. */
export function noReplicasError(): Error {
  return new Error('minReplicas does not work with a sentinel client of node-redis; use ioredis for it')
}

/** The client of a cluster has not asked yet which nodes are in it, or found none. */
export function noNodeError(): Error {
  return new Error('The cluster has no node yet')
}

/** A client that connects to a node only once it needs it waits for a node that is away, and says nothing. */
export function absentNodeError(address: string, timeoutMs: number): Error {
  return new Error(`the cluster's node ${address} could not be connected to within ${timeoutMs} ms`)
}

/** A connection that only listens was made, and nothing came back on it. */
export function deafError(timeoutMs: number): Error {
  return new Error(`the connection for wake-ups had no answer within ${timeoutMs} ms`)
}

/** A process listens, and the server that has its keys does not know of it. */
export function unheardError(): Error {
  return new Error(
    'the connection for wake-ups leads to another server than the commands, perhaps to a replica, so waiters were woken late; it is made anew',
  )
}

/** For the listening connection of GLIDE, which waits in vain for subscriptions that the server refuses. */
export function glideDeafError(error: Error): Error {
  return new Error(
    `GLIDE could not listen in time (${error.message}); if operations work, the Redis user lacks +subscribe, or the channel pattern of the prefix`,
    { cause: error },
  )
}

export function unreadableScanError(): Error {
  return new Error('SCAN gave an answer that cannot be read')
}

export function unreadableWakeError(bytes: number): Error {
  return new Error(`a message of ${bytes} bytes on the wake channel is not a wake`)
}
