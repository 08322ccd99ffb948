// Tells which failures pass by themselves, and explains the others.

import { noAnswer, reachHints, remedies } from './messages.js'

/** Redis error replies that come from a failover, a restart or a resharding, or when all clients connect again at once. */
const PASSING_REPLY =
  /^(READONLY|LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|MOVED|ASK|UNBLOCKED|NOREPLICAS|BUSY |ERR max number of clients)/

/** Errors of the clients and of the system while a connection is lost or a cluster changes. */
const LOST_CONNECTION =
  /Socket closed|Socket timeout|client is (closed|offline)|Cannot send commands|timed out|Connection (error|timeout)|FatalError|AllConnectionsUnavailable|Disconnected|no node yet|Stream isn't writeable|Connection is closed|aborted due to connection close|Disconnects client|Command timed out|TimeoutError|max retries per request|Reached the max retries|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|None of startup nodes|None of the sentinels|root nodes are unavailable|No master node|Cluster isn't ready|Failed to refresh slots|Cluster ended|Too many Cluster redirections/i

/** What a client says that has as many commands under way as it may have. */
const FULL_CLIENT = /^The queue is full|maximum inflight requests/

/** The first pause between tries, doubled for each further one up to the second figure. */
export const RETRY_MS = [20, 200] as const

/** Answers of a cluster while a key's slot migrates. The last one is that of a script that needs a key which is on the other node already, or still. */
const MIGRATING =
  /^(TRYAGAIN|ASK) |redirections\. Last error: ReplyError: (TRYAGAIN|ASK|MOVED) |attempted to access a non local key/

/** Whether trying the same command again may help. */
export function isPassing(error: unknown): boolean {
  const message = messageOf(error)
  return [PASSING_REPLY, LOST_CONNECTION, FULL_CLIENT, MIGRATING].some(pattern => pattern.test(message))
}

/** Whether the server is at work, and only this key has to be waited for. */
export function isMigrating(error: unknown): boolean {
  return MIGRATING.test(messageOf(error))
}

/** Whether the server takes no writes because it could not save: that may last, so only what must not be lost is tried again. */
export function cannotSave(error: unknown): boolean {
  return messageOf(error).startsWith('MISCONF')
}

/** Whether the server is a replica, or has become one. */
export function takesNoWrites(error: unknown): boolean {
  return messageOf(error).startsWith('READONLY')
}

/** Whether the slot of the key is on another node of the cluster. */
export function hasMoved(error: unknown): boolean {
  return messageOf(error).startsWith('MOVED')
}

/** Whether the server refused a permission: the connection works, and other commands may be allowed. */
export function isForbidden(error: unknown): boolean {
  return messageOf(error).startsWith('NOPERM')
}

/** Whether the script is not in the server's cache: after a new server, a failover, SCRIPT FLUSH. */
export function isMissingScript(error: unknown): boolean {
  return messageOf(error).startsWith('NOSCRIPT')
}

/** Whether the keys of one command are not all on one node. */
export function isCrossSlot(error: unknown): boolean {
  return messageOf(error).startsWith('CROSSSLOT')
}

/**
 * Takes from an error what ioredis has noted there of its command, except for its name: the arguments may be a password, or a record with somebody's
 * response, and would be in every log of the error.
 */
export function withoutArguments<T>(error: T): T {
  const { command, lastNodeError } = (error ?? {}) as {
    readonly command?: { args?: unknown }
    /** Of a cluster of which no node answers. */
    readonly lastNodeError?: unknown
  }
  if (lastNodeError !== undefined) withoutArguments(lastNodeError)
  delete command?.args
  return error
}

/** Adds a remedy to errors that only people can mend, unless they have it already. */
export function withRemedy(error: unknown): unknown {
  const message = messageOf(error)
  const reply = messageOf(lastNodeError(error) ?? error)
  const remedy = remedies.find(([pattern]) => pattern.test(reply))?.[1]
  if (remedy !== undefined && !message.includes(remedy)) return new Error(`${message}; ${remedy}`, { cause: error })
  const saysLess = error instanceof Error && (error.message === '' || reply !== message)
  return saysLess ? new Error(message, { cause: error }) : error
}

/** Messages of ioredis that name an option which is better left alone, or only count the Sentinels, and do not say what is wrong. */
const WITHOUT_CONNECTION =
  /Stream isn't writeable|Cluster isn't ready|Connection is closed|max retries per request|All sentinels are unreachable[^:]*$/

/** Whether an error says only that there is no connection, and not why. */
export function isOffline(error: unknown): boolean {
  return WITHOUT_CONNECTION.test(messageOf(error))
}

/**
 * What a caller is told about a failure. `cause` is undefined if there was no answer in time. `heard` is the error with which the
 * connection failed a moment ago, which says more.
 */
export function explainFailure(cause: unknown, heard: unknown, timeoutMs: number): unknown {
  const hasNone = isOffline(cause)
  if (cause !== undefined && !hasNone) return withRemedy(cause)
  const what = hasNone ? 'there is no connection' : noAnswer(timeoutMs)
  if (heard === undefined) {
    if (!hasNone) return new Error(what)
    return new Error(`${what}; ${reachHints.unknown}`, { cause })
  }
  const told = messageOf(withRemedy(heard))
  const remedy = told === messageOf(heard) ? `; ${reachHints.known}` : ''
  return new Error(`${what}; connecting failed with: ${told}${remedy}`, { cause: heard })
}

/** Redis 6.2 wraps the error of a command in a script: `ERR Error running script (call to f_…): @user_script: 1: -READONLY …`. */
const WRAPPED = /^ERR Error running script \(call to \w+\): .*?-(?=[A-Z]+ )/

/** The error of ioredis for a cluster says only that no node would do, and keeps beside its message why the last one did not. */
function lastNodeError(error: unknown): unknown {
  const { lastNodeError: last } = (error ?? {}) as { readonly lastNodeError?: unknown }
  return last === null || isOffline(last) ? undefined : last
}

/** The message of an error, even of one that has none of its own. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const last = lastNodeError(error)
  if (last !== undefined) return `${error.message} The last node: ${messageOf(last)}`
  if (error.message !== '') return error.message.replace(WRAPPED, '')
  // Node's error for a host with several addresses has one for each; node-redis' TimeoutError is only recognised by its class.
  return error instanceof AggregateError ? error.errors.map(messageOf).join(', ') : error.constructor.name
}
