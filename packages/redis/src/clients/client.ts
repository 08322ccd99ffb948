// What the store needs of a Redis client, whichever it is: the one interface that every client is put behind.

import { unreadableScanError } from '../messages.js'

export type CommandPart = string | Buffer

export interface StoreClient {
  /** Behind it is a cluster: PUBLISH cannot count who listens, and every node has keys of its own. */
  readonly isCluster: boolean
  /** What the client itself puts before every key that it sends; `scan` does without it. Left out: nothing. */
  readonly keyPrefix?: string
  /**
   * Sends one command to the server that has `key` (undefined: to any), and answers as it does: bulk strings as
   * Buffers, errors as rejections whose message starts with Redis' error code.
   */
  send(key: string | undefined, command: readonly CommandPart[]): Promise<unknown>
  /**
   * As `send`, then WAIT on the same connection: how many replicas have what was written, as soon as `replicas` have it
   * and at the latest after `timeoutMs`.
   */
  sendAndWait(
    key: string,
    command: readonly CommandPart[],
    replicas: number,
    timeoutMs: number,
  ): Promise<readonly [reply: unknown, acknowledged: number]>
  /** The names of all keys that match, of all servers, in pages; some may come twice. */
  scan(pattern: string): AsyncIterable<readonly string[]>
  /** Whether `listen` says when messages may be lost. Left out: it does not. */
  readonly tellsLoss?: boolean
  /** Listens on a connection of its own until closed, over every outage. */
  listen(channels: readonly string[], listener: ChannelListener): { close(): void }
  /** Ends what was made for the store; a client that was given stays open. */
  close(): void
}

export interface ChannelListener {
  onMessage(message: Buffer): void
  /** From now on messages arrive; what was said before, since the connection was lost, is lost too. */
  onListening(): void
  /** The connection was lost, or may have been: messages may be lost from now on, until `onListening`. */
  onLost(): void
  onTrouble(error: unknown): void
}

/** Reads what SCAN answers, with names as text. */
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
