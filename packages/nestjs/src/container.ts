// Looking around in Nest's container.

import type { ModulesContainer } from '@nestjs/core'
import { LockSet } from './lock-set.js'

/** Of all imported DspinlockModules. */
export function findSets(container: ModulesContainer): LockSet[] {
  const sets: LockSet[] = []
  for (const module of container.values()) {
    for (const { instance } of module.providers.values()) if (instance instanceof LockSet) sets.push(instance)
  }
  return sets
}

/** It is a provider: what `@UseInterceptors` and `@UseGuards` bind to single routes is none. */
export function isProvided(container: ModulesContainer, instance: object): boolean {
  return [...container.values()].some(module =>
    [...module.providers.values()].some(wrapper => wrapper.instance === instance),
  )
}
