// One imported DspinlockModule: a name, a lock engine, and the guards of all routes that use it.

import type { LockEngine, Store } from '@dspinlock/core'
import { createGuard, type Guard } from '@dspinlock/http'
import { mistakes } from './messages.js'
import { type AnyOptions, copyOptions, type Mode, mergeOptions } from './options.js'
import { DEFAULT_SET } from './tokens.js'

export type AnyGuard = Guard<object, object>

/** Says which guard is wanted. Equal requests get the same guard, so that there are not more guards than routes. */
export interface GuardRequest {
  /** The interceptor's or guard's class. */
  readonly owner: object
  /** The options as they were written on the route; the same object each time. */
  readonly route: object
  readonly mode: Mode
  readonly where: string
  readonly hooks: () => object
}

/**
 * What is for all routes takes the options of the module without a name.
 * @throws TypeError if there is none, or if these options do not go together with `mode` and `hooks`.
 */
export function checkForAll(
  sets: ReadonlyMap<string, LockSet>,
  mount: string,
  mode: Mode,
  hooks: GuardRequest['hooks'],
): void {
  const set = sets.get(DEFAULT_SET)
  if (set === undefined) throw mistakes.unknownSet(mount, DEFAULT_SET, [...sets.keys()])
  set.check({ route: {}, mode, where: `${mount} for all routes`, hooks })
}

export class LockSet {
  readonly name: string
  readonly engine: LockEngine
  readonly #options: AnyOptions
  /** Owns the engine. */
  readonly #base: AnyGuard
  readonly #guards = new Map<object, Map<object, AnyGuard>>()

  /** @throws TypeError for wrong options. */
  constructor(name: string, options: AnyOptions) {
    if (typeof options !== 'object' || options === null) throw mistakes.noOptions(name, options)
    this.name = name
    this.#options = copyOptions(options)
    this.#base = createGuard<object, object>(this.#options as object)
    this.engine = this.#base.engine
  }

  /** @throws TypeError for wrong options. */
  guardFor(wanted: GuardRequest): AnyGuard {
    let ofOwner = this.#guards.get(wanted.owner)
    if (ofOwner === undefined) {
      ofOwner = new Map()
      this.#guards.set(wanted.owner, ofOwner)
    }
    let guard = ofOwner.get(wanted.route)
    if (guard === undefined) {
      guard = this.#create(wanted)
      ofOwner.set(wanted.route, guard)
    }
    return guard
  }

  /**
   * Returns the methods that a route with these options would have guarded; undefined if they name none.
   * @throws TypeError if it could not have a guard with them.
   */
  check(wanted: Omit<GuardRequest, 'owner'>): readonly string[] | undefined {
    this.#create(wanted)
    return this.#merge(wanted).methods
  }

  #merge({ route, mode, where, hooks }: Omit<GuardRequest, 'owner'>): AnyOptions {
    return mergeOptions({ module: this.#options, engine: this.engine, hooks: hooks(), route, mode, where })
  }

  #create(wanted: Omit<GuardRequest, 'owner'>): AnyGuard {
    const options = this.#merge(wanted)
    const { where } = wanted
    try {
      return createGuard<object, object>(options as object)
    } catch (error) {
      throw error instanceof TypeError ? mistakes.wrongOptions(where, error) : error
    }
  }

  /** Refuses newcomers and waiters with 503, and lets holders finish. */
  async close(): Promise<void> {
    const guards = [...this.#guards.values()].flatMap(ofOwner => [...ofOwner.values()])
    await Promise.all([this.#base, ...guards].map(guard => guard.close()))
  }

  /** A store that was given belongs to the application and is closed with it; the store of a given engine is not. */
  async closeStore(): Promise<void> {
    const store: Store | undefined = this.#options.store
    await store?.close()
  }
}
