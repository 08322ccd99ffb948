// The diagnostic log: writes each event of the diagnostics channels as one line to a logger.

import { optionError, shortKey } from './errors.js'
import {
  channels,
  type EndEvent,
  type EnterEvent,
  type ForgetEvent,
  type LostEvent,
  type TroubleEvent,
} from './events.js'
import { optional, parseOptions } from './options.js'
import { escapeUnsafe } from './printable.js'

/** `console`, a pino logger and a winston logger are all of this shape. */
export interface Logger {
  debug(line: string): unknown
  /** Gets holds that were lost, and trouble. Without it, these go to `debug`, too. */
  warn?(line: string): unknown
}

/** Loggers that take fields before the line are of this shape: pino, bunyan and others. Levels that are missing go to `debug`. */
export interface StructuredLogger {
  debug(fields: LogFields, line: string): unknown
  info?(fields: LogFields, line: string): unknown
  warn?(fields: LogFields, line: string): unknown
}

/** The fields of an event, with its key as the lines show it, and its error as `err`. */
export interface LogFields {
  /** For example `dspinlock:enter`. */
  readonly event: string
  readonly key?: string
  readonly err?: unknown
  readonly [field: string]: unknown
}

export interface LogFilter {
  /** Log only events of this key, and those of no key. Default: all events in this process. */
  readonly key?: string
  /** Returns true for the names of the events to log: `enter`, `end`, `lost`, `forget`, `trouble`. Default: all. */
  readonly accepts?: (event: keyof typeof channels) => boolean
}

type Lines = { readonly [K in keyof typeof channels]: (event: never) => string }

const lines: Lines = {
  enter: ({ key, role, reason, waitedMs, error }: EnterEvent) => {
    const [how, why] = role === 'failed' ? [role, messageOf(error)] : [`as ${role}`, reason]
    return `dspinlock:enter ${shortKey(key)} ${how} after ${waitedMs.toFixed(1)} ms${why === undefined ? '' : `: ${why}`}`
  },
  end: ({ key, fence, how, heldMs, recordBytes }: EndEvent) =>
    `dspinlock:end ${shortKey(key)} ${how} after ${heldMs.toFixed(1)} ms, fence ${fence}, record of ${recordBytes} bytes`,
  lost: ({ key, fence, reason }: LostEvent) => `dspinlock:lost ${shortKey(key)} fence ${fence}: ${reason.message}`,
  forget: ({ key, fence }: ForgetEvent) => `dspinlock:forget ${shortKey(key)} fence ${fence}`,
  trouble: ({ source, operation, key, error }: TroubleEvent) =>
    `dspinlock:trouble ${source} in ${operation}${key === undefined ? '' : ` for ${shortKey(key)}`}: ${messageOf(error)}`,
}

const filterShape = {
  key: optional('a string', (given: unknown): given is string => typeof given === 'string'),
  accepts: optional(
    'a function of the name of an event',
    (given: unknown): given is NonNullable<LogFilter['accepts']> => typeof given === 'function',
  ),
} as const

type Level = 'debug' | 'info' | 'warn'

/** `debug` for what happens all the time, `info` for what people may look for later, `warn` for what went wrong. */
function levelOf(name: keyof typeof channels, event: object): Level {
  if (name === 'lost' || name === 'trouble') return 'warn'
  if (name === 'forget') return 'info'
  return name === 'enter' && (event as EnterEvent).role === 'failed' ? 'info' : 'debug'
}

/**
 * Writes what the engines of this process do, one line for each event, until the returned function is called.
 * A logger that throws is ignored. This is the log of the middleware, too.
 * @throws TypeError for a logger without a method `debug`, and for an unknown or wrong option.
 */
export function attachLogger(logger: Logger, filter?: LogFilter): () => void {
  return listen('attachLogger', logger, filter, (level, line) => {
    if (level === 'warn' && logger.warn !== undefined) logger.warn(line())
    else logger.debug(line())
  })
}

/** Like `attachLogger`, with fields before each line: `attachStructuredLogger(pino())`. */
export function attachStructuredLogger(logger: StructuredLogger, filter?: LogFilter): () => void {
  return listen('attachStructuredLogger', logger, filter, (level, line, fields) => {
    const to = logger[level] === undefined ? 'debug' : level
    logger[to]?.(fields(), line())
  })
}

function listen(
  where: string,
  logger: Logger | StructuredLogger,
  filter: LogFilter | undefined,
  write: (level: Level, line: () => string, fields: () => LogFields) => void,
): () => void {
  // Checked now, because errors while writing are ignored, so the log would just stay empty.
  if (typeof logger?.debug !== 'function') throw optionError('logger', logger, 'a logger with a method debug')
  const { key: only, accepts } = parseOptions(where, filter, filterShape)
  const detach: (() => void)[] = []
  for (const name of Object.keys(lines) as (keyof typeof channels)[]) {
    if (accepts !== undefined && !accepts(name)) continue
    const line = lines[name] as (event: object) => string
    const listener = (event: unknown): void => {
      const { key } = event as { key: string | undefined }
      if (only !== undefined && key !== undefined && key !== only) return
      try {
        const told = event as object
        write(
          levelOf(name, told),
          // An error may quote what a client sent, which must not begin a line of its own.
          () => escapeUnsafe(line(told)),
          () => fieldsOf(name, told),
        )
      } catch {
        // Ignored, because a diagnostics channel would rethrow it as an uncaught exception, and logging must not end the process.
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

function fieldsOf(name: string, event: object): LogFields {
  const { key, error, reason, ...rest } = event as { key?: string; error?: unknown; reason?: unknown }
  // A lost hold has an error as its reason, a refusal one of a few words.
  const isWord = typeof reason === 'string'
  const err = error ?? (isWord ? undefined : reason)
  return {
    event: `dspinlock:${name}`,
    ...(key === undefined ? {} : { key: shortKey(key) }),
    ...(isWord ? { reason } : {}),
    ...rest,
    ...(err === undefined ? {} : { err }),
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
