// Reads the options of enter once, into a frozen Policy.

import type { Duplicates, EnterOptions } from './entry.js'
import { optionError } from './errors.js'
import { boolean, integer, oneOf, type Parsed, parseOptions, timerMs } from './options.js'

/** The options of `enter` that stay the same from call to call and make sense for any kind of work. */
export type PolicyOptions = Omit<EnterOptions, 'signal' | 'payload' | 'label' | 'leaveRecord' | 'pollMs'>

/** `PolicyOptions`, and the options that only direct users of the engine need. */
export type EnginePolicyOptions = Omit<EnterOptions, 'signal' | 'payload' | 'label'>

/** The options of `enter` that belong to one call. */
export interface CallOptions extends Pick<EnterOptions, 'payload' | 'label'> {
  readonly signal?: Cancellation
}

/** The part of an AbortSignal that is used, so that code which makes one for each request can use something lighter. */
export interface Cancellation {
  readonly aborted: boolean
  readonly reason: unknown
  addEventListener(type: 'abort', listener: AbortListener, options?: { readonly once: boolean }): void
  removeEventListener(type: 'abort', listener: AbortListener): void
}

/** An EventListener as in the DOM: an object, because a function would be kept for longer than the wait (docs/decisions/069). */
export interface AbortListener {
  handleEvent(): void
}

/** A shorter lease would end before anything could be done under it. */
export const MIN_LEASE_MS = 10

const shape = {
  duplicates: oneOf('serialise', 'replay', 'reject'),
  ttlMs: integer(0, 0),
  whileInFlight: oneOf('wait', 'reject'),
  leaseMs: timerMs(10_000, MIN_LEASE_MS),
  waitMs: timerMs(30_000, 0),
  maxHoldMs: timerMs(1_800_000),
} as const

const engineShape = { ...shape, leaveRecord: boolean(false), pollMs: timerMs(undefined) } as const

/** The names of all options of `enter`. */
export const enterOptionNames: readonly (keyof EnterOptions)[] = [
  ...(Object.keys(engineShape) as (keyof EnterOptions)[]),
  'signal',
  'payload',
  'label',
]

/** The names of the options that make a policy, for packages that pass them on. Marked as pure, so that a bundle has them only if it uses them. */
export const policyOptionNames: readonly (keyof PolicyOptions)[] = /* @__PURE__ */ Object.keys(
  shape,
) as (keyof PolicyOptions)[]

/**
 * Options of `enter`, checked and frozen. Make one if the same options are used for many calls.
 * @throws TypeError naming the option, what was received and what it takes.
 */
export class Policy {
  readonly duplicates: Duplicates
  readonly ttlMs: number
  readonly leaseMs: number
  readonly waitMs: number
  readonly maxHoldMs: number
  /** How often to ask again; undefined: as often as the engine does. */
  readonly pollMs: number | undefined
  /** Whether settling leaves a record. */
  readonly leavesRecord: boolean
  /** Whether a record is accepted instead of a turn. */
  readonly takesRecord: boolean
  /** Whether a duplicate waits while the holder is at work. */
  readonly waits: boolean

  constructor(options?: EnginePolicyOptions) {
    const parsed: Parsed<typeof engineShape> = parseOptions('Policy', options, engineShape)
    const { duplicates, ttlMs, leaveRecord } = parsed
    const isSerial = duplicates === 'serialise'
    const isReplay = duplicates === 'replay'
    if (leaveRecord && !isSerial) {
      // The other policies leave one anyway.
      throw optionError('leaveRecord', true, "left out unless duplicates is 'serialise'")
    }
    if (isSerial && ttlMs > 0 && !leaveRecord) {
      throw optionError('ttlMs', ttlMs, "0 with duplicates: 'serialise', which leaves no record")
    }
    if (!isReplay && options?.whileInFlight !== undefined) {
      throw optionError('whileInFlight', options.whileInFlight, "left out unless duplicates is 'replay'")
    }
    this.duplicates = duplicates
    this.ttlMs = ttlMs
    this.leaseMs = parsed.leaseMs
    this.waitMs = parsed.waitMs
    this.maxHoldMs = parsed.maxHoldMs
    this.pollMs = parsed.pollMs
    this.leavesRecord = leaveRecord || !isSerial
    this.takesRecord = !isSerial
    this.waits = isSerial || (isReplay && parsed.whileInFlight === 'wait')
    Object.freeze(this)
  }
}
