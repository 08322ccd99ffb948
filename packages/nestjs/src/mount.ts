// What interceptor and guard share: the hooks for subclasses, and the decision whether a request is theirs to guard.

import type { IncomingMessage } from 'node:http'
import { type Problem, shareShape } from '@dspinlock/http'
import { type ExecutionContext, Inject, type OnModuleInit } from '@nestjs/common'
import { ApplicationConfig, ModulesContainer } from '@nestjs/core'
import { type Containers, findReach, findSets, hasScopedSet, type Reach, readReach } from './container.js'
import { type Entry, readEntry, setEntry } from './entry.js'
import type { Admission } from './exchange.js'
import { checkForAll, type LockSet } from './lock-set.js'
import { mistakes } from './messages.js'
import type { Mode } from './options.js'
import { readRequestedVersion } from './requested-version.js'
import { type Class, type Handler, type Route, readRoute } from './rule.js'
import { isHttp, readRaw, readTarget } from './target.js'
import { DEFAULT_SET } from './tokens.js'

type Answer<T> = T | Promise<T>

interface Visits {
  /** A handler that passes on, by `@Next()`, leads to another one. */
  readonly route: Route
  /** How many places the request has passed at which interceptors (or guards) of ours are bound to its route. */
  bound: number
  /** A mount that is both for all routes and bound has been called as the one for all routes, which comes first. */
  passed: boolean
  /** One of our mounts has decided on the request. */
  taken: boolean
  /** It is guarded. */
  guarded: boolean
}

/**
 * Not a property, which on Express would slow down requests that are not even guarded. A WeakMap keeps its values until the next full
 * collection, so the values are small.
 */
const visited = new WeakMap<IncomingMessage, Visits>()

/** For routes without options of their own. */
const noOptions = Object.freeze({})

/**
 * Define any of `getKey`, `getIdentity`, `shouldSkip` and `onRefused` in a subclass. They replace the module's options `key`,
 * `identity`, `skip` and `onRefused`; a route's own options come first.
 */
export abstract class Mount implements OnModuleInit {
  @Inject(ModulesContainer)
  private readonly containerOfNest!: ModulesContainer
  /** @internal */
  @Inject(ApplicationConfig)
  protected readonly configOfNest!: ApplicationConfig
  #sets: ReadonlyMap<string, LockSet> | undefined
  /** Undefined until it is known, which may be only at a request. */
  #reach: Reach | undefined

  /** Returns a key in place of path, query and body; method, host and identity still count. undefined: the request is not guarded. */
  protected getKey?(context: ExecutionContext): Answer<string | undefined>
  /** Returns who is asking; nobody gets another identity's response. undefined: whoever the request's credentials name. */
  protected getIdentity?(context: ExecutionContext): Answer<string | undefined>
  /** Returns true for requests that are not to be guarded. */
  protected shouldSkip?(context: ExecutionContext): Answer<boolean>
  /** Answers a refused request, or throws an error for exception filters to render. */
  protected onRefused?(problem: Problem, context: ExecutionContext): void

  /** @throws TypeError without DspinlockModule. */
  onModuleInit(): void {
    this.#sets = this.#findSets()
    this.#reach = readReach(this.#containers, this)
    if (this.#reach === 'bound') return
    const guards: object[] = this.configOfNest.getGlobalGuards()
    const mode = guards.includes(this) ? 'reject' : 'any'
    checkForAll(this.#sets, this.constructor.name, mode, () => Mount.listHooks(this))
  }

  /** Undefined if the request is not for this mount to guard. @internal */
  protected findAdmission(context: ExecutionContext, mode: Mode): Admission | undefined {
    if (!isHttp(context)) return undefined
    const controller = context.getClass() as Class
    const route = readRoute(controller, context.getHandler() as Handler)
    const { rule } = route
    if (rule?.kind === 'skip' || route.isEventStream) return undefined
    const raw = readRaw(context)
    const places = this.#countPlaces(route, mode)
    // A guard for all routes leaves a route to the interceptor that is bound to it, by our decorator or otherwise.
    const isFurtherOut = mode === 'reject' && places === 0
    if (isFurtherOut && (rule !== undefined || this.#countPlaces(route, 'any') > 0)) return undefined
    this.#sets ??= this.#findSets()
    if (places > 0) this.#reach ??= findReach(this.#containers, this, mode, context.getArgByIndex<object>(0))
    if (!this.#isItsTurn(raw, route, places)) return undefined

    const onRoute = rule !== undefined || places > 0
    const name = rule?.set ?? DEFAULT_SET
    const set = this.#sets.get(name)
    if (set === undefined) throw mistakes.unknownSet(route.where, name, [...this.#sets.keys()])
    const guard = set.guardFor({
      owner: this.constructor,
      route: rule?.options ?? noOptions,
      mode,
      where: route.where,
      hooks: () => Mount.listHooks(this),
    })
    if (!guard.guards(raw, onRoute)) return undefined
    ;(visited.get(raw) as Visits).guarded = true
    const target = readTarget(context)
    // Before the request gets a property of ours.
    shareShape(target, raw, 'res')
    setEntry(target.request, { mount: this, context })
    return { guard, target, onRoute, version: this.#versionOf(route, raw) }
  }

  /** With the version that the request asks for, if one handler has several, because it may answer each in its own way. */
  #versionOf({ version, isOfVersions }: Route, raw: IncomingMessage): string | undefined {
    const versioning = this.configOfNest.getVersioning()
    if (versioning === undefined || !(isOfVersions ?? Array.isArray(versioning.defaultVersion))) return version
    return JSON.stringify([version, readRequestedVersion(versioning, raw)])
  }

  /** The number of places at which an interceptor (or guard) of ours is bound to the route. */
  #countPlaces(route: Route, mode: Mode): number {
    let places = 0
    for (const bound of mode === 'any' ? route.interceptors : route.guards) if (isMount(bound)) places++
    return places
  }

  get #containers(): Containers {
    return { container: this.containerOfNest, config: this.configOfNest }
  }

  /** The place nearest to the handler decides, because what runs in between, an upload for example, is done by then. */
  #isItsTurn(raw: IncomingMessage, route: Route, places: number): boolean {
    let visits = visited.get(raw)
    if (visits === undefined || (visits.route !== route && !visits.guarded)) {
      visits = { route, bound: 0, passed: false, taken: false, guarded: false }
      visited.set(raw, visits)
    }
    if (visits.taken) return false
    if (places > 0) {
      if (this.#reach === 'all') return false
      if (this.#reach === 'all-and-bound' && !visits.passed) {
        visits.passed = true
        return false
      }
      if (++visits.bound < places) return false
    }
    visits.bound = 0
    visits.taken = true
    return true
  }

  #findSets(): ReadonlyMap<string, LockSet> {
    const where = this.constructor.name
    if (this.containerOfNest === undefined) throw mistakes.notFromNest(where)
    const sets = findSets(this.containerOfNest)
    if (sets.length === 0)
      throw hasScopedSet(this.containerOfNest) ? mistakes.scopedOptions() : mistakes.notImported(where)
    return new Map(sets.map(set => [set.name, set]))
  }

  /** Lists only the hooks that `defining`, an object or a prototype, has. All instances of a class share them, so a hook finds its instance by the request. @internal */
  static listHooks(defining: Mount): object {
    const of = (request: object): Entry => {
      const found = readEntry(request)
      if (found === undefined) throw mistakes.notFromNest(defining.constructor.name)
      return found
    }
    const hooks: Record<string, unknown> = {}
    if (defining.getKey !== undefined) {
      hooks['key'] = (request: object) => of(request).mount.getKey?.(of(request).context)
    }
    if (defining.getIdentity !== undefined) {
      hooks['identity'] = (request: object) => of(request).mount.getIdentity?.(of(request).context)
    }
    if (defining.shouldSkip !== undefined) {
      hooks['skip'] = (request: object) => of(request).mount.shouldSkip?.(of(request).context)
    }
    if (defining.onRefused !== undefined) {
      hooks['onRefused'] = (problem: Problem, request: object) =>
        of(request).mount.onRefused?.(problem, of(request).context)
    }
    return hooks
  }
}

/** Whether what `@UseInterceptors` or `@UseGuards` lists is ours: a class or an instance. */
export function isMount(bound: unknown): boolean {
  return bound instanceof Mount || (typeof bound === 'function' && bound.prototype instanceof Mount)
}
