// One operation on one key: its script called by digest, in full where the server does not know it, and again after what passes.

import type { Deadline, Deadlines } from './deadlines.js'
import { isMissingScript, isPassing, RETRY_MS } from './failures.js'
import type { Script } from './scripts/index.js'

/** What calls need of their store. */
export interface CallHost {
  readonly deadlines: Deadlines
  /** Calls one script once; `how` says what `text` is. */
  send(how: 'EVALSHA' | 'EVAL', text: string, names: readonly string[], args: CallArguments): Promise<unknown>
  /** Why nothing can be sent, now or any more; undefined if it can. */
  findObstacle(operation: string, key: string): Error | undefined
  /** What the caller is told of a failure; `cause` undefined: there was no answer in time. */
  describe(operation: string, key: string, cause: unknown): Error
}

export type CallArguments = readonly (string | number | Buffer)[]

/**
 * `read` makes the answer of what the script replied, and may throw. Written with callbacks: each `await` on this path
 * would be one more turn of the microtask queue for every command.
 */
export class ScriptCall<T> {
  readonly promise: Promise<T>
  readonly #host: CallHost
  readonly #script: Script
  readonly #operation: string
  readonly #key: string
  readonly #names: readonly string[]
  readonly #args: CallArguments
  readonly #read: (reply: unknown) => T
  readonly #deadline: Deadline
  #resolve!: (answer: T) => void
  #reject!: (reason: unknown) => void
  #pauseMs: number = RETRY_MS[0]
  /** The caller was told how it ended; an answer that comes later is for nobody. */
  #over = false

  constructor(
    host: CallHost,
    script: Script,
    operation: string,
    key: string,
    names: readonly string[],
    args: CallArguments,
    read: (reply: unknown) => T,
  ) {
    this.#host = host
    this.#script = script
    this.#operation = operation
    this.#key = key
    this.#names = names
    this.#args = args
    this.#read = read
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#deadline = host.deadlines.add(() => this.#fail(undefined))
    this.#try()
  }

  #try(): void {
    const obstacle = this.#host.findObstacle(this.#operation, this.#key)
    if (obstacle === undefined) this.#send('EVALSHA', this.#script.sha)
    else if (this.#end()) this.#reject(obstacle)
  }

  #send(how: 'EVALSHA' | 'EVAL', text: string): void {
    this.#host.send(how, text, this.#names, this.#args).then(this.#onReply, (error: unknown) => {
      if (this.#over) return
      if (how === 'EVALSHA' && isMissingScript(error)) this.#send('EVAL', this.#script.source)
      else this.#onError(error)
    })
  }

  readonly #onReply = (reply: unknown): void => {
    if (!this.#end()) return
    try {
      this.#resolve(this.#read(reply))
    } catch (error) {
      this.#reject(error)
    }
  }

  #onError(error: unknown): void {
    const isFinal = this.#host.findObstacle(this.#operation, this.#key) !== undefined || !isPassing(error)
    if (isFinal || performance.now() + this.#pauseMs >= this.#deadline.endsAt) return this.#fail(error)
    setTimeout(() => {
      if (!this.#over) this.#try()
    }, this.#pauseMs)
    this.#pauseMs = Math.min(this.#pauseMs * 2, RETRY_MS[1])
  }

  #fail(cause: unknown): void {
    if (this.#end()) this.#reject(this.#host.describe(this.#operation, this.#key, cause))
  }

  /** False if it has ended before. */
  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#host.deadlines.remove(this.#deadline)
    return true
  }
}
