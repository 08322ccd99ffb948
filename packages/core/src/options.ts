// Reads options for every package: once, strictly, into a frozen object with all defaults filled in.

import { optionError, unknownOptionError } from './errors.js'

/** Turns what was given for the option `name` (undefined: not given) into its value, or throws the error that `optionError` makes. */
export type OptionReader<T> = (given: unknown, name: string) => T

/** The frozen result of reading options by a shape of readers. */
export type Parsed<S extends Record<string, OptionReader<unknown>>> = {
  readonly [K in keyof S]: S[K] extends OptionReader<infer T> ? T : never
}

/** setTimeout cannot wait longer than this: 2^31 - 1 milliseconds, almost 25 days. */
export const MAX_TIMER_MS = 2_147_483_647

/** @throws TypeError for anything but a plain options object, or an option that is not among `names`. */
export function assertNames(where: string, given: unknown, names: readonly string[]): void {
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given))) {
    throw optionError(`argument of ${where}`, given, 'an object of options')
  }
  for (const name of Object.keys(given ?? {})) if (!names.includes(name)) throw unknownOptionError(where, name, names)
}

/**
 * Reads `given` (undefined counts as `{}`) by `shape`. Properties that are undefined count as not given.
 * @throws TypeError for anything but a plain options object, an unknown name, or a value that its reader refuses.
 */
export function parseOptions<S extends Record<string, OptionReader<unknown>>>(
  where: string,
  given: unknown,
  shape: S,
): Parsed<S> {
  assertNames(where, given, Object.keys(shape))
  const options = (given ?? {}) as Record<string, unknown>
  const parsed: Record<string, unknown> = {}
  for (const [name, read] of Object.entries(shape)) parsed[name] = read(options[name], name)
  return Object.freeze(parsed) as Parsed<S>
}

/**
 * The reader of most options: `fallback` if nothing was given, otherwise a value that `accepts` returns true for. `expected` completes
 * "must be …".
 */
export function option<T, F>(
  fallback: F,
  expected: string,
  accepts: (given: unknown) => given is T,
): OptionReader<T | F> {
  return (given, name) => {
    if (given === undefined) return fallback
    if (accepts(given)) return given
    throw optionError(name, given, expected)
  }
}

/** An option without a default. */
export function optional<T>(expected: string, accepts: (given: unknown) => given is T): OptionReader<T | undefined> {
  return option(undefined, expected, accepts)
}

/** A whole number between `min` and `max`. */
export function integer<F extends number | undefined>(
  fallback: F,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): OptionReader<number | F> {
  const upTo = max === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${max}`
  return option(fallback, `a whole number, ${min} ${upTo}`, (given): given is number => {
    return Number.isInteger(given) && (given as number) >= min && (given as number) <= max
  })
}

/** A time that a timer has to measure: milliseconds, whole, at least `min`. */
export function timerMs<F extends number | undefined>(fallback: F, min: number = 1): OptionReader<number | F> {
  return integer(fallback, min, MAX_TIMER_MS)
}

/** One of these words; the first is the default. */
export function oneOf<T extends string>(...values: readonly [T, ...T[]]): OptionReader<T> {
  return among(values[0], values)
}

/** One of these words, or none. */
export function oneOrNone<T extends string>(...values: readonly T[]): OptionReader<T | undefined> {
  return among(undefined, values)
}

function among<T extends string, F>(fallback: F, values: readonly T[]): OptionReader<T | F> {
  const expected = `one of ${values.map(value => `'${value}'`).join(', ')}`
  return option(fallback, expected, (given): given is T => values.includes(given as T))
}

export function boolean(fallback: boolean): OptionReader<boolean> {
  return option(fallback, 'true or false', given => typeof given === 'boolean')
}

/** Whether something is a string that is not empty. */
export function isText(given: unknown): given is string {
  return typeof given === 'string' && given !== ''
}
