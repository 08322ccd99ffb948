// The diagnostic log: what the diagnostics channels carry, one line each, to whoever wants to read it.

import { shortKey } from './errors.js'
import {
  channels,
  type EndEvent,
  type EnterEvent,
  type ForgetEvent,
  type LostEvent,
  type TroubleEvent,
} from './events.js'

/** `console`, a pino logger and a winston logger are all of this shape. */
export interface Logger {
  debug(line: string): unknown
  /** Holds that were lost, and trouble. Without it they go to `debug`, too. */
  warn?(line: string): unknown
}

export interface LogFilter {
  /** Only what is about this key or about none. Default: everything in this process. */
  readonly key?: string
  /** Only events of these names: `enter`, `end`, `lost`, `forget`, `trouble`. Default: all. */
  readonly accepts?: (event: keyof typeof channels) => boolean
}

type Lines = { readonly [K in keyof typeof channels]: (event: never) => string }

const lines: Lines = {
  enter: ({ key, role, waitedMs }: EnterEvent) =>
    `dspinlock:enter ${shortKey(key)} as ${role} after ${waitedMs.toFixed(1)} ms`,
  end: ({ key, fence, how, heldMs, recordBytes }: EndEvent) =>
    `dspinlock:end ${shortKey(key)} ${how} after ${heldMs.toFixed(1)} ms, fence ${fence}, record of ${recordBytes} bytes`,
  lost: ({ key, fence, reason }: LostEvent) => `dspinlock:lost ${shortKey(key)} fence ${fence}: ${reason.message}`,
  forget: ({ key, fence }: ForgetEvent) => `dspinlock:forget ${shortKey(key)} fence ${fence}`,
  trouble: ({ source, operation, key, error }: TroubleEvent) =>
    `dspinlock:trouble ${source} in ${operation}${key === undefined ? '' : ` for ${shortKey(key)}`}: ${
      error instanceof Error ? error.message : String(error)
    }`,
}

/** What went wrong, as against what happens all the time. */
const isWarning: ReadonlySet<string> = new Set(['lost', 'trouble'])

/**
 * Writes what the engines of this process do, one line for each event, until the function that is returned is called.
 * A logger that throws is ignored. This is the log of the middleware, too.
 */
export function attachLogger(logger: Logger, filter: LogFilter = {}): () => void {
  const detach: (() => void)[] = []
  for (const name of Object.keys(lines) as (keyof typeof channels)[]) {
    if (filter.accepts !== undefined && !filter.accepts(name)) continue
    const line = lines[name] as (event: unknown) => string
    const listener = (event: unknown): void => {
      const { key } = event as { key: string | undefined }
      if (filter.key !== undefined && key !== undefined && key !== filter.key) return
      try {
        if (isWarning.has(name) && logger.warn !== undefined) logger.warn(line(event))
        else logger.debug(line(event))
      } catch {
        // A diagnostics channel would rethrow this as an uncaught exception, and logging must not end a process.
      }
    }
    channels[name].subscribe(listener)
    detach.push(() => {
      channels[name].unsubscribe(listener)
    })
  }
  return () => {
    for (const one of detach.splice(0)) one()
  }
}
