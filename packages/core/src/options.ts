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

/**
 * Reads `given` (undefined counts as `{}`) by `shape`. Properties that are undefined count as not given.
 * @throws TypeError for anything but a plain options object, an unknown name, or a value that its reader refuses.
 */
export function parseOptions<S extends Record<string, OptionReader<unknown>>>(
  where: string,
  given: unknown,
  shape: S,
): Parsed<S> {
  if (given !== undefined && (typeof given !== 'object' || given === null || Array.isArray(given))) {
    throw optionError(`argument of ${where}`, given, 'an object of options')
  }
  const options = (given ?? {}) as Record<string, unknown>
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(shape, name)) throw unknownOptionError(where, name, Object.keys(shape))
  }
  const parsed: Record<string, unknown> = {}
  for (const [name, read] of Object.entries(shape)) parsed[name] = read(options[name], name)
  return Object.freeze(parsed) as Parsed<S>
}

/** A whole number between `min` and `max`. */
export function integer(fallback: number, min: number, max: number = Number.MAX_SAFE_INTEGER): OptionReader<number> {
  return (given, name) => {
    if (given === undefined) return fallback
    if (typeof given === 'number' && Number.isInteger(given) && given >= min && given <= max) return given
    const upTo = max === Number.MAX_SAFE_INTEGER ? 'or more' : `to ${max}`
    throw optionError(name, given, `a whole number, ${min} ${upTo}`)
  }
}

/** A time that a timer has to measure: milliseconds, whole, at least `min`. */
export function timerMs(fallback: number, min: number = 1): OptionReader<number> {
  return integer(fallback, min, MAX_TIMER_MS)
}

/** One of these words; the first is the default. */
export function oneOf<T extends string>(...values: readonly [T, ...T[]]): OptionReader<T> {
  return (given, name) => {
    if (given === undefined) return values[0]
    if (values.includes(given as T)) return given as T
    throw optionError(name, given, `one of ${values.map(value => `'${value}'`).join(', ')}`)
  }
}

export function boolean(fallback: boolean): OptionReader<boolean> {
  return (given, name) => {
    if (given === undefined) return fallback
    if (typeof given === 'boolean') return given
    throw optionError(name, given, 'true or false')
  }
}

/** Anything that `accepts` returns true for, or undefined. `expected` completes "must be …". */
export function optional<T>(expected: string, accepts: (given: unknown) => given is T): OptionReader<T | undefined> {
  return (given, name) => {
    if (given === undefined || accepts(given)) return given
    throw optionError(name, given, expected)
  }
}
