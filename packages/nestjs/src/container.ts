// Looking around in Nest's container.

import { type ApplicationConfig, type ContextId, ContextIdFactory, type ModulesContainer } from '@nestjs/core'
import { LockSet } from './lock-set.js'
import type { Mode } from './options.js'

/** Of all imported DspinlockModules. */
export function findSets(container: ModulesContainer): LockSet[] {
  const sets: LockSet[] = []
  for (const module of container.values()) {
    for (const { instance } of module.providers.values()) if (instance instanceof LockSet) sets.push(instance)
  }
  return sets
}

export interface Containers {
  readonly container: ModulesContainer
  readonly config: ApplicationConfig
}

/** Where Nest runs an interceptor or a guard of ours: what `app.get()` gives may be one that is bound to routes, too. */
export type Reach = 'all' | 'all-and-bound' | 'bound'

/** Of a static one, when the application starts: by then Nest has taken over for its routes what is for all of them, and takes no more. */
export function readReach(containers: Containers, instance: object): Reach {
  const { config } = containers
  const made: object[] = [...config.getGlobalInterceptors(), ...config.getGlobalGuards()]
  if (!made.includes(instance)) return 'bound'
  return isProvided(containers.container, instance) ? 'all' : 'all-and-bound'
}

/**
 * Of one that was told of no start: because it is made for each request, or its class has an `onModuleInit` of its own. Transient ones
 * count as bound: Nest keeps their instances by an inquirer that nobody tells us.
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

/** What is bound to single routes is no provider. */
function isProvided(container: ModulesContainer, instance: object): boolean {
  return [...container.values()].some(module =>
    [...module.providers.values()].some(wrapper => wrapper.instance === instance),
  )
}

type Wrapper = ReturnType<ApplicationConfig['getGlobalRequestInterceptors' | 'getGlobalRequestGuards']>[number]

/** What was made for this request, or for many where it is durable. */
function readInstance(wrapper: Wrapper, request: object): unknown {
  const ofRequest: ContextId = ContextIdFactory.getByRequest(request)
  const info = { token: wrapper.token, isTreeDurable: wrapper.isDependencyTreeDurable() }
  return wrapper.getInstanceByContextId(ofRequest.getParent?.(info) ?? ofRequest).instance
}
