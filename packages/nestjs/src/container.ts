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

interface Containers {
  readonly container: ModulesContainer
  readonly config: ApplicationConfig
}

/**
 * Nest runs it for all routes, and not because `@UseInterceptors` or `@UseGuards` names its class. Not known of transient ones, whose
 * instances Nest keeps by their inquirers, nor of one that is both, as `app.get()` may give.
 */
export function isForAll({ container, config }: Containers, instance: object, mode: Mode, request: object): boolean {
  const isInterceptor = mode === 'any'
  const made: readonly object[] = isInterceptor ? config.getGlobalInterceptors() : config.getGlobalGuards()
  if (made.includes(instance)) return isProvided(container, instance)
  const scoped = isInterceptor ? config.getGlobalRequestInterceptors() : config.getGlobalRequestGuards()
  return scoped.some(wrapper => !wrapper.isTransient && readInstance(wrapper, request) === instance)
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
