// Every message that a user of the command line can see, and what its exit codes mean.

import { escapeUnsafe } from '@dspinlock/core/support'
import { InvalidArgumentError } from 'commander'

export const exitCodes = {
  /** Done; for `doctor`: nothing failed. */
  ok: 0,
  /** There is no such key, it was not forgotten, `doctor` found something that does not work, or the output could not be written. */
  no: 1,
  /** Wrong arguments; Redis was not contacted. */
  usage: 2,
  /** Redis could not be reached, or refused the command. */
  redis: 3,
} as const

/** Ends the command with one line on standard error. */
export class Failure extends Error {
  readonly exitCode: number

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, { cause })
    this.exitCode = exitCode
  }
}

export const failures = {
  twoServers: (options: readonly string[]): Failure =>
    new Failure(exitCodes.usage, `only one of these may be given: ${options.map(name => `--${name}`).join(', ')}`),
  noSentinels: (): Failure =>
    new Failure(exitCodes.usage, '--sentinel-name is only for --sentinels, which is not given'),
  noKey: (key: string): Failure =>
    new Failure(
      exitCodes.no,
      `nothing is known of the key ${quote(key)}; look for it with dspinlock ls, and check --prefix`,
    ),
  isHeld: (key: string, fence: number): Failure =>
    new Failure(
      exitCodes.no,
      `the key ${quote(key)} is held (fence ${fence}), and the next one would run beside its holder; wait for the holder, or pass --force`,
    ),
  hasChanged: (key: string): Failure =>
    new Failure(exitCodes.no, `the key ${quote(key)} has changed meanwhile, and was left alone; try again`),
  unwritten: (why: string): Failure =>
    new Failure(exitCodes.no, `what was found could not be written to standard output (${why})`),
  partial: (unserved: number): Failure => new Failure(exitCodes.redis, missingSlots(unserved)),
  unreachable: (why: string, cause?: unknown): Failure => new Failure(exitCodes.redis, why, cause),
}

/** An app's prefix that was left out looks like an app without keys. */
export const noKeys = 'no live keys; check --prefix'
/** There may be others. */
export const noMatches = 'no live key matches; look without --match and --state'

/** The slots of a Cluster. */
export const SLOTS = 16_384

export const missingSlots = (unserved: number): string =>
  `${unserved} of the Cluster's ${SLOTS} slots have no master that answers, so their keys can neither be locked nor listed`

export const wrongArguments = {
  number: (given: string, expected: string): InvalidArgumentError =>
    new InvalidArgumentError(`It must be ${expected}, but is ${quote(given)}.`),
  nodes: (given: string): InvalidArgumentError =>
    new InvalidArgumentError(`It must be a list like redis-1:6379,redis-2:6379, but is ${quote(given)}.`),
}

/** Makes a text safe for a terminal: a key may contain anything, even sequences that move the cursor. */
function quote(text: string): string {
  return escapeUnsafe(JSON.stringify(text))
}

/** Like `quote`, but without the quotes if they are not needed. */
export function show(text: string): string {
  const quoted = quote(text)
  return quoted === `"${text}"` && text !== '' && !/\s/.test(text) ? text : quoted
}

/** Makes a line from elsewhere safe for a terminal: a server's answer, for example, may contain anything, too. */
export function printable(text: string): string {
  return quote(text).slice(1, -1).replaceAll('\\"', '"').replaceAll('\\\\', '\\')
}
