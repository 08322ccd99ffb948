// Work in another process: calls by name over Node's IPC channel, and an end that leaves nothing running.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

type Handlers = Readonly<Record<string, (argument: never) => unknown>>
interface Call {
  readonly id: number
  readonly name: string
  readonly argument: unknown
}
interface Reply {
  readonly id: number
  readonly value?: unknown
  readonly error?: string
}

export interface RemoteOptions {
  readonly nodeOptions?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** How long a process may take to end when asked to, before it is killed. */
const STOP_MS = 5_000

/** One call may take this long, which is enough for the longest sample of the slowest subject. */
const CALL_MS = 240_000

const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** A process that answers calls with the functions that its module gave to `answerCalls`. */
export class Remote {
  readonly #child: ChildProcess
  readonly #pending = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #nextId = 0

  private constructor(child: ChildProcess) {
    this.#child = child
    alive.add(child)
    child.on('message', message => {
      const { id, value, error } = message as Reply
      const waiting = this.#pending.get(id)
      this.#pending.delete(id)
      if (error === undefined) waiting?.resolve(value as never)
      else waiting?.reject(new Error(error))
    })
    child.on('exit', (code, signal) => {
      alive.delete(child)
      for (const { reject } of this.#pending.values()) reject(new Error(`the process ended with ${code ?? signal}`))
      this.#pending.clear()
    })
  }

  /** `module` is relative to the compiled sources, for example `servers/main.js`. There, `readArgument` returns the argument. */
  static start(module: string, argument: unknown, options: RemoteOptions = {}): Remote {
    const path = fileURLToPath(new URL(`../${module}`, import.meta.url))
    const child = fork(path, [JSON.stringify(argument ?? null)], {
      execArgv: [...(options.nodeOptions ?? [])],
      env: { ...process.env, NODE_ENV: 'production', ...options.env },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    return new Remote(child)
  }

  call<T>(name: string, argument?: unknown): Promise<T> {
    const id = ++this.#nextId
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no answer to ${name} within ${CALL_MS / 1000} s`)), CALL_MS)
      const settle =
        <V>(then: (value: V) => void) =>
        (value: V) => {
          clearTimeout(timer)
          then(value)
        }
      if (!this.#child.connected) return settle(reject)(new Error(`the process ended before ${name}`))
      this.#pending.set(id, { resolve: settle(resolve), reject: settle(reject) })
      this.#child.send({ id, name, argument } satisfies Call)
    })
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    if (child.connected) child.disconnect()
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
    await exited
    clearTimeout(timer)
  }
}

/** Called in the process that was started: returns the argument that it was started with. */
export function readArgument<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T
}

/** Called in the process that was started: answers calls, and ends the process when the one that started it disconnects. */
export function answerCalls(handlers: Handlers): void {
  process.on('message', message => {
    const { id, name, argument } = message as Call
    const handler = handlers[name]
    const answer = async (): Promise<Reply> => {
      if (handler === undefined) throw new Error(`no such call: ${name}`)
      return { id, value: await handler(argument as never) }
    }
    answer().then(
      reply => process.send?.(reply),
      (error: unknown) =>
        process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
  })
  // Ends by process.exit, so that clients that a peer left open do not keep the process alive; profiles are written all the same.
  process.on('disconnect', () => process.exit(0))
}
