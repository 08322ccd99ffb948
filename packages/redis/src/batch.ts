// Sends operations that are issued in one turn of the event loop in one call of the script.

import type { CommandPart } from './clients/client.js'
import { isCrossSlot, isMissingScript, isPassing } from './failures.js'
import { namesOf } from './keys.js'
import { unreadableError } from './messages.js'
import { composeRow, type OperationName, sha, source } from './scripts/index.js'

/** One operation on one key, as it is passed to the script. */
export interface Row {
  readonly name: OperationName
  /** The name of the key's state. */
  readonly state: string
  /** The arguments of the operation, made by `composeGiven`. */
  readonly given: string
  /** The record, for operations that store one. */
  readonly record: Buffer | undefined
  onReply(reply: unknown): void
  onFailure(error: unknown): void
}

/** Limited because the server does nothing else while a script runs; a call of this many operations takes a sixth of a millisecond. */
const MAX_ROWS = 32
/** A call that carries more than this takes no more operations, so that those behind a large record need not wait for it. */
const MAX_BYTES = 65_536

/**
 * A command costs the client more than the server, however many operations it carries. A lone operation leaves at the end of its turn of
 * the event loop, before the answer to anything could have come; there is no timer to wait for.
 */
export class Batch {
  readonly #common: string
  readonly #sendCommand: (state: string, command: readonly CommandPart[]) => Promise<unknown>
  #isCluster: boolean
  #rows: Row[] = []

  /**
   * `isCluster`: every row leaves by itself, at once, because keys are on different nodes. `common`: what every call of the script begins with
   * (see `composeCall`).
   */
  constructor(
    isCluster: boolean,
    common: string,
    sendCommand: (state: string, command: readonly CommandPart[]) => Promise<unknown>,
  ) {
    this.#isCluster = isCluster
    this.#common = common
    this.#sendCommand = sendCommand
  }

  /** Whether this is a cluster: as the client says, or as was found out. */
  get isCluster(): boolean {
    return this.#isCluster
  }

  /** It turned out that this is a cluster. */
  split(): void {
    this.#isCluster = true
  }

  add(row: Row): void {
    if (this.#isCluster) return this.#send([row])
    if (this.#rows.push(row) === 1) setImmediate(this.#flush)
  }

  #send(rows: readonly Row[]): void {
    const [first] = rows
    if (first === undefined) return
    callScript(
      rows,
      this.#common,
      this.#isCluster,
      command => this.#sendCommand(first.state, command),
      replies => distribute(rows, replies),
      error => {
        if (rows.length > 1 && !isPassing(error)) {
          // This is a cluster behind one address, and the client does not know. Nothing was carried out.
          if (isCrossSlot(error)) this.split()
          // If one of them is refused, for example a write to a full Redis, the others must not fail. Those that were carried out already get
          // the same answer again, except a forget, which finds nothing any more.
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

/** Operations that need a key's crowd even if nobody waits. */
const ofCrowd: readonly OperationName[] = ['claim', 'forget', 'inspect']

/**
 * The names that a lone operation tells in advance, because some servers want to know all of them. But while a slot of a cluster migrates, a
 * command is refused (TRYAGAIN) unless all keys that it names exist, and a hold for which nobody waits, and which has no crowd, has to be
 * renewed and ended meanwhile.
 */
function namesFor({ name, state }: Row, isCluster: boolean): readonly string[] {
  return isCluster && !ofCrowd.includes(name) ? [state] : namesOf(state)
}

/**
 * A command of digest or source, the names, the first argument of every call, and the rows. That argument is `common`, with 1 behind it if the server
 * knows who listens: each node of a cluster counts only its own listeners. `how` is in lower case, because ioredis looks commands up by that.
 */
function composeCall(how: 'evalsha' | 'eval', rows: readonly Row[], common: string, isCluster: boolean): CommandPart[] {
  const script = how === 'evalsha' ? sha : source
  const first = `${common} ${isCluster ? 0 : 1}`
  const only = rows.length === 1 ? rows[0] : undefined
  if (only !== undefined) {
    const names = namesFor(only, isCluster)
    const row = composeRow(only.name, only.given)
    const command: CommandPart[] = [how, script, String(names.length), ...names, first, row]
    if (only.record !== undefined) command.push(only.record)
    return command
  }
  const command: CommandPart[] = [how, script, String(rows.length), ...rows.map(({ state }) => state), first]
  // A client writes every part by itself, so fewer parts cost it less.
  for (const { name, given, record } of rows) {
    command.push(composeRow(name, given))
    if (record !== undefined) command.push(record)
  }
  return command
}

/**
 * Calls the script by its digest, or in full if the server does not know it. `send` resolves with what the server
 * replied, possibly among other things.
 */
export function callScript<T>(
  rows: readonly Row[],
  common: string,
  isCluster: boolean,
  send: (command: readonly CommandPart[]) => Promise<T>,
  onAnswer: (answer: T) => void,
  onFailure: (error: unknown) => void,
): void {
  send(composeCall('evalsha', rows, common, isCluster)).then(onAnswer, (error: unknown) => {
    if (isMissingScript(error)) send(composeCall('eval', rows, common, isCluster)).then(onAnswer, onFailure)
    else onFailure(error)
  })
}

/** Gives every row its reply; if there is only one row, the reply of the call is its reply. */
export function distribute(rows: readonly Row[], replies: unknown): void {
  const list = rows.length === 1 ? [replies] : Array.isArray(replies) ? replies : []
  for (let at = 0; at < rows.length; at++) {
    const row = rows[at] as Row
    const reply: unknown = list.length === rows.length ? list[at] : undefined
    // Our script answers nothing else, so a text, for example, is not from it.
    if (typeof reply === 'number' || Array.isArray(reply)) row.onReply(reply)
    else row.onFailure(unreadableError())
  }
}
