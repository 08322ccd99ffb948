// Finds mistakes in the application when it starts, as far as they can be found by then.

import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js'
import { MetadataScanner, type ModulesContainer } from '@nestjs/core'
import { findSets, hasScopedSet } from './container.js'
import { nameIn, placeOf } from './exclusive.js'
import { DspinlockGuard } from './guard.js'
import { DspinlockInterceptor } from './interceptor.js'
import type { LockSet } from './lock-set.js'
import { mistakes } from './messages.js'
import { isMount } from './mount.js'
import { type Class, type Handler, readRoute, ruleOn } from './rule.js'
import { DEFAULT_SET } from './tokens.js'

type Sets = ReadonlyMap<string, LockSet>

/** Names in keys of methods with `@Exclusive()`, each with its owner: the prototype that the method was written on, or a class that inherits it. */
type Places = Map<string, object>

/** @throws TypeError for the first mistake found. */
export function checkApplication(container: ModulesContainer): void {
  if (hasScopedSet(container)) throw mistakes.scopedOptions()
  const sets = readSets(container)
  const places: Places = new Map()
  for (const module of container.values()) {
    for (const { metatype } of module.controllers.values()) {
      if (!isClass(metatype)) continue
      checkController(metatype, sets)
      checkPlaces(metatype, places)
    }
    // Nest keeps request-scoped enhancers that are for all routes among the injectables, which are bound to routes.
    for (const { metatype, instance, token } of [...module.providers.values(), ...module.injectables.values()]) {
      if (isClass(metatype)) {
        checkProvider(metatype)
        checkPlaces(metatype, places)
      }
      const isGlobal = typeof token === 'string' && isMount(instance)
      if (isGlobal && !sets.has(DEFAULT_SET)) {
        throw mistakes.unknownSet((instance as object).constructor.name, DEFAULT_SET, [...sets.keys()])
      }
    }
  }
}

function readSets(container: ModulesContainer): Sets {
  const sets = new Map<string, LockSet>()
  for (const set of findSets(container)) {
    if (sets.has(set.name)) throw mistakes.twoOfOneName(set.name)
    sets.set(set.name, set)
  }
  return sets
}

function checkController(controller: Class, sets: Sets): void {
  for (const handler of listMethods(controller)) {
    const isRoute = Reflect.hasMetadata(PATH_METADATA, handler) && Reflect.hasMetadata(METHOD_METADATA, handler)
    if (isRoute) checkRoute(controller, handler, sets)
    else if (ruleOn(handler) !== undefined) throw mistakes.noHandler(`${controller.name}.${handler.name}`)
  }
}

function checkRoute(controller: Class, handler: Handler, sets: Sets): void {
  const { rule, interceptors, guards, where } = readRoute(controller, handler)
  const bound = [...interceptors, ...guards].filter(isMount)
  const byHand = bound.find(mount => typeof mount === 'object')
  if (byHand !== undefined) throw mistakes.notFromNest(`${(byHand as object).constructor.name} on ${where}`)
  const isBound = bound.length > 0
  if (rule?.kind === 'skip' || (rule === undefined && !isBound)) return
  const name = rule?.set ?? DEFAULT_SET
  const set = sets.get(name)
  if (set === undefined) throw mistakes.unknownSet(where, name, [...sets.keys()])
  const options = rule?.options ?? {}
  if (interceptors.some(isMount)) set.check(options, 'any', where)
  if (guards.some(isMount)) set.check(options, 'reject', where)
}

function checkProvider(provider: Class): void {
  if (provider === DspinlockInterceptor || provider === DspinlockGuard) return
  if (ruleOn(provider) !== undefined) throw mistakes.noController(provider.name)
  for (const method of listMethods(provider)) {
    if (ruleOn(method) !== undefined) throw mistakes.noHandler(`${provider.name}.${method.name}`)
  }
}

/** Two methods with the same name in keys would get each other's results. */
function checkPlaces(owner: Class, places: Places): void {
  for (const method of listMethods(owner)) {
    const place = placeOf(method)
    if (place === undefined) continue
    const name = nameIn(owner, place)
    const whose = name === place.where ? place.target : owner
    if ((places.get(name) ?? whose) !== whose) throw mistakes.twoOfOnePlace(name)
    places.set(name, whose)
  }
}

function listMethods(owner: Class): Handler[] {
  const prototype = owner.prototype as Record<string, unknown> | undefined
  if (prototype === undefined || prototype === null) return []
  return new MetadataScanner()
    .getAllMethodNames(prototype)
    .map(name => prototype[name])
    .filter((method): method is Handler => typeof method === 'function')
}

function isClass(metatype: unknown): metatype is Class {
  return typeof metatype === 'function'
}
