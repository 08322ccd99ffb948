// What a worker writes down while it works, and reading the histories of a run.

import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** Milliseconds on the clock that all processes of a machine share (CLOCK_MONOTONIC). */
export function now(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

export type HistoryEvent =
  /** The worker is running; its process is `pid`. */
  | { readonly event: 'start'; readonly pid: number }
  /** A caller asks for the key, and must have its answer by `endBy`. */
  | { readonly event: 'ask'; readonly op: number; readonly key: string; readonly endBy: number }
  | { readonly event: 'answer'; readonly op: number; readonly outcome: string }
  /** The store said that the process holds the key at least until then. */
  | { readonly event: 'lease'; readonly key: string; readonly fence: number; readonly until: number }
  /** The holder begins; `aborted` is the state of its signal at that moment. */
  | { readonly event: 'enter'; readonly key: string; readonly fence: number; readonly aborted: boolean }
  | { readonly event: 'lost'; readonly key: string; readonly fence: number }
  | {
      readonly event: 'write'
      readonly key: string
      readonly fence: number
      readonly sentAt: number
      readonly accepted: boolean
    }
  | { readonly event: 'leave'; readonly key: string; readonly fence: number; readonly aborted: boolean }
  /** The holder is about to leave a record. */
  | { readonly event: 'settle'; readonly key: string; readonly fence: number; readonly record: string }
  /** The settle was answered. `visibleMs`: for how long newcomers are to be given the record. */
  | {
      readonly event: 'settled'
      readonly key: string
      readonly fence: number
      readonly sentAt: number
      readonly visibleMs: number
      readonly answer: boolean | 'error'
    }
  | { readonly event: 'released'; readonly key: string; readonly fence: number; readonly answer: boolean | 'error' }
  /** A duplicate was given a record. */
  | { readonly event: 'follow'; readonly key: string; readonly record: string }
  | { readonly event: 'wake'; readonly kind: string }
  /** The event loop has been blocked since `since`. */
  | { readonly event: 'stall'; readonly since: number }
  /** An uncaught error or an unhandled rejection. */
  | { readonly event: 'crash'; readonly error: string }
  /** Every caller was answered, and engine and store are closed, so nothing keeps the process alive any more. */
  | { readonly event: 'bye' }

export type Dated = HistoryEvent & { readonly at: number }

/** Each line is written to the file before the next step, so that a killed worker leaves a record of everything that it did. */
export class HistoryWriter {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  write(event: HistoryEvent, at: number = now()): void {
    writeSync(this.#file, `${JSON.stringify({ at: Math.round(at * 1000) / 1000, ...event })}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

export interface WorkerHistory {
  readonly name: string
  readonly events: readonly Dated[]
}

export function readHistories(directory: string): WorkerHistory[] {
  return readdirSync(directory)
    .filter(name => name.endsWith('.history'))
    .map(name => {
      const lines = readFileSync(join(directory, name), 'utf8').split('\n')
      // A process that is killed while it writes a line leaves a part of it.
      const whole = lines.slice(0, -1)
      return { name: name.slice(0, -'.history'.length), events: whole.map(line => JSON.parse(line) as Dated) }
    })
}
