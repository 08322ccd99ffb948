// The one interface for all Redis clients: what the store needs of them.

import { unreadableScanError } from '../messages.js'

export type CommandPart = string | Buffer

export interface StoreClient {
  /** The client is for a cluster: no node knows who listens, and every node has keys of its own. */
  readonly isCluster: boolean
  /** The prefix that the client itself puts before every key that it sends, but not in `scan`. Left out: none. */
  readonly keyPrefix?: string
  /**
   * Sends one command to the server that has `key` (undefined: to any), and resolves to its answer, with bulk strings as
   * Buffers. An error reply is a rejection whose message starts with Redis' error code.
   */
  send(key: string | undefined, command: readonly CommandPart[]): Promise<unknown>
  /**
   * Like `send`, followed by WAIT on the same connection: tells how many replicas have what was written, as soon as
   * `replicas` have it, and after `timeoutMs` at the latest.
   */
  sendAndWait(
    key: string,
    command: readonly CommandPart[],
    replicas: number,
    timeoutMs: number,
  ): Promise<readonly [reply: unknown, acknowledged: number]>
  /** The names of all keys that match, on all servers, in pages; some may come twice. */
  scan(pattern: string): AsyncIterable<readonly string[]>
  /** Whether `listen` tells when messages may be lost. Left out: it does not. */
  readonly tellsLoss?: boolean
  /** Listens on a connection of its own until closed, and goes on after every outage. */
  listen(channels: readonly string[], listener: ChannelListener): ListeningConnection
  /** Closes the connections that were made for the store; a client that was given stays open. */
  close(): void
}

export interface ListeningConnection {
  /** Connects anew, because the connection leads to another server than that of the commands. */
  reconnect(): void
  close(): void
}

export interface ChannelListener {
  onMessage(message: Buffer): void
  /** From now on messages arrive; those since the connection was lost are lost, too. */
  onListening(): void
  /** The connection was lost, or may have been: messages may be lost from now on, until `onListening`. */
  onLost(): void
  onTrouble(error: unknown): void
}

/** Whether an object has all of these methods, by which a client is recognised. */
export function hasMethods(given: object, names: readonly string[]): boolean {
  return names.every(name => typeof (given as Record<string, unknown>)[name] === 'function')
}

/** `sendAndWait` by a client that has one connection for each node, and sends commands in the order in which they are given. */
export async function sendInOrder(
  client: Pick<StoreClient, 'send'>,
  key: string,
  command: readonly CommandPart[],
  replicas: number,
  timeoutMs: number,
): Promise<readonly [reply: unknown, acknowledged: number]> {
  const [reply, acknowledged] = await Promise.all([
    client.send(key, command),
    client.send(key, ['WAIT', String(replicas), String(timeoutMs)]),
  ])
  return [reply, Number(acknowledged)]
}

/** Reads the answer of SCAN, with names as text. */
function readScanPage(reply: unknown): readonly [cursor: string, names: readonly string[]] {
  if (!Array.isArray(reply) || !Array.isArray(reply[1])) throw unreadableScanError()
  return [String(reply[0]), (reply[1] as unknown[]).map(String)]
}

/** Pages of SCAN until its cursor is back at the beginning. */
export async function* scanWith(
  send: (command: readonly string[]) => Promise<unknown>,
  pattern: string,
): AsyncIterableIterator<readonly string[]> {
  let cursor = '0'
  do {
    const [next, names] = readScanPage(await send(['SCAN', cursor, 'MATCH', pattern, 'COUNT', '200']))
    cursor = next
    yield names
  } while (cursor !== '0')
}
