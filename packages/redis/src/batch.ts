// Operations that are issued in one turn of the event loop leave in one call of the script.

import type { CommandPart } from './clients/client.js'
import { isCrossSlot, isMissingScript, isPassing } from './failures.js'
import { namesOf } from './keys.js'
import { unreadableError } from './messages.js'
import { composeRow, type OperationName, sha, source } from './scripts/index.js'

/** One operation on one key, as the script is given it. */
export interface Row {
  readonly name: OperationName
  /** The name of the key's state. */
  readonly state: string
  /** What the operation is given: `composeGiven`. */
  readonly given: string
  /** Only of operations that store one. */
  readonly record: Buffer | undefined
  onReply(reply: unknown): void
  onFailure(error: unknown): void
}

/** The server does nothing else while a script runs: a call of this many operations takes a sixth of a millisecond. */
const MAX_ROWS = 32
/** A call that carries more than this is closed: those behind a large record need not wait for it. */
const MAX_BYTES = 65_536

/**
 * A command costs the client more than the server, however much is in it. A lone operation leaves at the end of its turn of the event
 * loop, before an answer to anything could have come; no timer is waited for.
 */
export class Batch {
  readonly #common: string
  readonly #sendCommand: (state: string, command: readonly CommandPart[]) => Promise<unknown>
  #isSplit: boolean
  #rows: Row[] = []

  /**
   * `isSplit`: every row leaves by itself, at once, as in a cluster, where keys are on different nodes. `common`: what the script is always
   * given first.
   */
  constructor(
    isSplit: boolean,
    common: string,
    sendCommand: (state: string, command: readonly CommandPart[]) => Promise<unknown>,
  ) {
    this.#isSplit = isSplit
    this.#common = common
    this.#sendCommand = sendCommand
  }

  add(row: Row): void {
    if (this.#isSplit) return this.#send([row])
    if (this.#rows.push(row) === 1) setImmediate(this.#flush)
  }

  #send(rows: readonly Row[]): void {
    const [first] = rows
    if (first === undefined) return
    callScript(
      rows,
      this.#common,
      command => this.#sendCommand(first.state, command),
      replies => distribute(rows, replies),
      error => {
        if (rows.length > 1 && isCrossSlot(error)) {
          // A cluster behind one address, which the client does not know of. Nothing was carried out.
          this.#isSplit = true
          for (const row of rows) this.#send([row])
        } else if (rows.length > 1 && !isPassing(error)) {
          // What one of them may not do, for example write to a full Redis, must not fail the others. Those that were carried out already are
          // told the same again, except a forget, which finds nothing any more.
          for (const row of rows) this.#send([row])
        } else {
          for (const row of rows) row.onFailure(error)
        }
      },
    )
  }

  readonly #flush = (): void => {
    const rows = this.#rows
    this.#rows = []
    if (rows.length === 1) return this.#send(rows)
    let from = 0
    let bytes = 0
    for (let at = 0; at < rows.length; at++) {
      bytes += rows[at]?.record?.byteLength ?? 0
      if (at + 1 < rows.length && at + 1 - from < MAX_ROWS && bytes <= MAX_BYTES) continue
      this.#send(rows.slice(from, at + 1))
      from = at + 1
      bytes = 0
    }
  }
}

/**
 * Digest or source, the names, what every call is given first (`common`), and the rows. `how` is in lower case, because ioredis looks
 * up commands by that.
 */
function composeCall(how: 'evalsha' | 'eval', rows: readonly Row[], common: string): CommandPart[] {
  const script = how === 'evalsha' ? sha : source
  const only = rows.length === 1 ? rows[0] : undefined
  if (only !== undefined) {
    const [state, crowd] = namesOf(only.state)
    const row = composeRow(only.name, only.given)
    const command: CommandPart[] = [how, script, '2', state, crowd, common, row]
    if (only.record !== undefined) command.push(only.record)
    return command
  }
  const command: CommandPart[] = [how, script, String(rows.length), ...rows.map(({ state }) => state), common]
  // A client writes every part by itself: fewer of them cost it less.
  for (const { name, given, record } of rows) {
    command.push(composeRow(name, given))
    if (record !== undefined) command.push(record)
  }
  return command
}

/**
 * Calls the script by its digest, and in full where the server does not know it. `send` resolves with what the server
 * replied and, it may be, more.
 */
export function callScript<T>(
  rows: readonly Row[],
  common: string,
  send: (command: readonly CommandPart[]) => Promise<T>,
  onAnswer: (answer: T) => void,
  onFailure: (error: unknown) => void,
): void {
  send(composeCall('evalsha', rows, common)).then(onAnswer, (error: unknown) => {
    if (isMissingScript(error)) send(composeCall('eval', rows, common)).then(onAnswer, onFailure)
    else onFailure(error)
  })
}

/** Gives every row its own of the replies; one row's is that of the call. */
export function distribute(rows: readonly Row[], replies: unknown): void {
  const list = rows.length === 1 ? [replies] : Array.isArray(replies) ? replies : []
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at] as Row
    const reply: unknown = list.length === rows.length ? list[at] : undefined
    // Nothing of ours is answered in another way: a text is from something else.
    if (typeof reply === 'number' || Array.isArray(reply)) row.onReply(reply)
    else row.onFailure(unreadableError())
  }
}
