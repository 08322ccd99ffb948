// Merges the options of the module, of one route and of a subclass.

import type { IncomingHttpHeaders } from 'node:http'
import type { LockEngine } from '@dspinlock/core'
import { optionError } from '@dspinlock/core/support'
import type { GuardOptions } from '@dspinlock/http'
import { listOptionNames } from '@dspinlock/http/support'
import { mistakes } from './messages.js'

/** What requests of both platforms have in common. To use your platform's type, write `@Dspinlock<FastifyRequest>({ identity: … })`. */
export interface NestRequest {
  readonly method: string
  readonly url: string
  readonly originalUrl: string
  readonly headers: IncomingHttpHeaders
  readonly params?: unknown
  readonly query?: unknown
  readonly body?: unknown
  readonly user?: unknown
}

/** Options of the whole module; a route may differ by `@Dspinlock(options)`. Functions get the platform's request and response. */
export type DspinlockOptions<Req = NestRequest, Res = unknown> = GuardOptions<Req, Res>

/** Options that belong to a module as a whole, not to a route. */
const ofModule = ['store', 'engine', 'maxWaiters', 'maxWaitersPerKey'] as const

/** Options of one route, or of all routes of a controller. Options that are not given are those of the module. */
export type RouteOptions<Req = NestRequest, Res = unknown> = Omit<DspinlockOptions<Req, Res>, (typeof ofModule)[number]>

/** Whether an option is part of the policy, which is replaced as a whole: `ttlMs` would mean something else under another policy. */
function isOfPolicy(name: string): boolean {
  return name === 'duplicates' || name === 'ttlMs' || name === 'whileInFlight' || name.startsWith('idempotency')
}

function namesPolicy(options: object): boolean {
  return Object.entries(options).some(
    ([name, given]) => given !== undefined && (name === 'duplicates' || name.startsWith('idempotency')),
  )
}

/** @throws TypeError for anything but an object, for example null from a configuration file. */
export function checkIsObject(where: string, given: unknown): void {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return
  throw optionError(`argument of ${where}`, given, 'an object of options')
}

/** The names of all options of the module; those of a route are among them. */
const optionNames: readonly string[] = [...listOptionNames(), 'name', 'isGlobal']

/**
 * A plain copy. An instance of a class has methods and getters from its prototype, which are lost wherever options are spread: without its
 * `identity`, say, one user would get another's response.
 */
export function copyOptions<T extends object>(given: T): T {
  const copy = { ...given } as Record<string, unknown>
  for (const name of optionNames) {
    if (name in copy || !(name in given)) continue
    const value: unknown = Reflect.get(given, name)
    copy[name] = typeof value === 'function' ? (value.bind(given) as unknown) : value
  }
  return copy as T
}

/** Whether a mount can follow any policy (`'any'`), or only refuse duplicates (`'reject'`). */
export type Mode = 'any' | 'reject'

export type AnyOptions = GuardOptions<never, never>

export interface MergeInput {
  readonly module: object
  readonly engine: LockEngine
  /** The hooks of a subclass, as options. */
  readonly hooks: object
  readonly route: object
  readonly mode: Mode
  /** The route, for messages. */
  readonly where: string
}

/**
 * The options of the route come first, then those of a subclass, then those of the module.
 * @throws TypeError for options that belong to the module, or that contradict `mode`.
 */
export function mergeOptions({ module, engine, hooks, route, mode, where }: MergeInput): AnyOptions {
  for (const name of ofModule) if (name in route) throw mistakes.belongsToModule(where, name)
  const given = route as Record<string, unknown>
  const isRefusing = (given['duplicates'] ?? 'reject') === 'reject'
  if (mode === 'reject' && !(isRefusing && (given['duplicates'] !== undefined || !namesPolicy(route)))) {
    throw mistakes.notReject(where)
  }
  if (mode === 'reject' && given['duplicates'] === undefined && (module as AnyOptions).idempotencyKey !== undefined) {
    throw mistakes.keyIgnored(where)
  }
  const renews = namesPolicy(route) || (mode === 'reject' && (module as AnyOptions).duplicates !== 'reject')
  const base = Object.entries(module).filter(
    ([name]) => !(ofModule as readonly string[]).includes(name) && !(renews && isOfPolicy(name)),
  )
  const merged: Record<string, unknown> = {
    ...Object.fromEntries(base),
    ...hooks,
    ...Object.fromEntries(Object.entries(route).filter(([, value]) => value !== undefined)),
    ...(mode === 'reject' ? { duplicates: 'reject' as const } : {}),
    engine,
  }
  for (const name of ['key', 'headFromGet']) {
    if (given[name] === undefined && isReplaced(name, merged, given)) delete merged[name]
  }
  return merged
}

/** Whether an option that a subclass or the module gives means nothing beside what the route gives. */
function isReplaced(name: string, merged: AnyOptions, route: AnyOptions): boolean {
  if (name === 'key') return route.idempotencyKey !== undefined
  const replays = (merged.duplicates ?? (merged.idempotencyKey === undefined ? undefined : 'replay')) === 'replay'
  return !replays || merged.methods?.includes('GET') === false
}
