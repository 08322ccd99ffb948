// Looks things up in Nest's container.

import { type ApplicationConfig, type ContextId, ContextIdFactory, type ModulesContainer } from '@nestjs/core'
import { LockSet } from './lock-set.js'
import type { Mode } from './options.js'
import { LOCK_SET } from './tokens.js'

/** The lock sets of all imported DspinlockModules. */
export function findSets(container: ModulesContainer): LockSet[] {
  const sets: LockSet[] = []
  for (const module of container.values()) {
    for (const { instance } of module.providers.values()) if (instance instanceof LockSet) sets.push(instance)
  }
  return sets
}

/** Whether a module's options come from what Nest makes for each request, so that there is no set when the application starts. */
export function hasScopedSet(container: ModulesContainer): boolean {
  return [...container.values()].some(({ providers }) => providers.get(LOCK_SET)?.isDependencyTreeStatic() === false)
}

export interface Containers {
  readonly container: ModulesContainer
  readonly config: ApplicationConfig
}

/** Where Nest runs an interceptor or guard of ours: for all routes, bound to single routes, or both, as one that `app.get()` returned may be. */
export type Reach = 'all' | 'all-and-bound' | 'bound'

/** The reach of a static interceptor or guard, read at start: by then Nest has applied all global ones to its routes, and takes no more. */
export function readReach(containers: Containers, instance: object): Reach {
  const { config } = containers
  const made: object[] = [...config.getGlobalInterceptors(), ...config.getGlobalGuards()]
  if (!made.includes(instance)) return 'bound'
  return isProvided(containers.container, instance) ? 'all' : 'all-and-bound'
}

/**
 * The reach of one that was not told of the start, because it is made for each request, or its class has its own `onModuleInit`.
 * Transient ones count as bound, because Nest keeps their instances by an inquirer that we cannot know.
 */
export function findReach({ container, config }: Containers, instance: object, mode: Mode, request: object): Reach {
  const isInterceptor = mode === 'any'
  const made: readonly object[] = isInterceptor ? config.getGlobalInterceptors() : config.getGlobalGuards()
  const scoped = isInterceptor ? config.getGlobalRequestInterceptors() : config.getGlobalRequestGuards()
  const isForAll =
    (made.includes(instance) && isProvided(container, instance)) ||
    scoped.some(wrapper => !wrapper.isTransient && readInstance(wrapper, request) === instance)
  return isForAll ? 'all' : 'bound'
}

/** Whether an instance is a provider; those that are only bound to single routes are not. */
function isProvided(container: ModulesContainer, instance: object): boolean {
  return [...container.values()].some(module =>
    [...module.providers.values()].some(wrapper => wrapper.instance === instance),
  )
}

type Wrapper = ReturnType<ApplicationConfig['getGlobalRequestInterceptors' | 'getGlobalRequestGuards']>[number]

/** The instance that was made for this request, or, if the provider is durable, for many requests. */
function readInstance(wrapper: Wrapper, request: object): unknown {
  const ofRequest: ContextId = ContextIdFactory.getByRequest(request)
  const info = { token: wrapper.token, isTreeDurable: wrapper.isDependencyTreeDurable() }
  return wrapper.getInstanceByContextId(ofRequest.getParent?.(info) ?? ofRequest).instance
}
