// What the metadata of a route says: its nearest decorator, and where our interceptors and guards are bound.

import {
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  RESPONSE_PASSTHROUGH_METADATA,
  ROUTE_ARGS_METADATA,
  SSE_METADATA,
  VERSION_METADATA,
} from '@nestjs/common/constants.js'
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js'
import { MetadataScanner } from '@nestjs/core'

/** The metadata that `@RouteConstraints()` of platform-fastify leaves; a copy of the name, because that package need not be installed. */
const CONSTRAINTS_METADATA = '__fastify_route_constraints__'

/** The metadata that our decorators leave on handlers and controllers. */
export const RULE: symbol = Symbol('dspinlock rule')

export type Rule =
  | { readonly kind: 'skip' }
  | { readonly kind: 'guard'; readonly set: string; readonly options: object }

export type Handler = (...args: never[]) => unknown
export type Class = abstract new (...args: never[]) => unknown

export interface Route {
  /** The rule of the handler, or else of its controller. */
  readonly rule: Rule | undefined
  /** What `@UseInterceptors` and `@UseGuards` list for the route. */
  readonly interceptors: readonly unknown[]
  readonly guards: readonly unknown[]
  /** The response is a stream of events for one client. */
  readonly isEventStream: boolean
  /** The handler sends the response, by `@Res()` or `@Next()`; Nest does nothing with what it returns. */
  readonly isSentByHand: boolean
  /**
   * The version of the API, and whatever else tells the route from others of the same method and path. Not the handler's name, because
   * a retry after an update of the application is still a retry.
   */
  readonly version: string | undefined
  /** The handler is that of several versions; undefined if it names none, and those of the application count. */
  readonly isOfVersions: boolean | undefined
  /** For messages. */
  readonly where: string
}

export function readRoute(controller: Class, handler: Handler): Route {
  let routes = known.get(controller)
  if (routes === undefined) {
    routes = new WeakMap()
    known.set(controller, routes)
  }
  let route = routes.get(handler)
  if (route === undefined) {
    route = readMetadata(controller, handler)
    routes.set(handler, route)
  }
  return route
}

/** Routes by controller and handler, because several controllers may inherit one handler. */
const known = new WeakMap<Class, WeakMap<Handler, Route>>()

function readMetadata(controller: Class, handler: Handler): Route {
  const list = (key: string): unknown[] =>
    [controller, handler].flatMap(target => (Reflect.getMetadata(key, target) as unknown[] | undefined) ?? [])
  const versions = versionsOn(handler) ?? versionsOn(controller)
  return {
    rule: ruleOn(handler) ?? ruleOn(controller),
    interceptors: list(INTERCEPTORS_METADATA),
    guards: list(GUARDS_METADATA),
    isEventStream: Reflect.hasMetadata(SSE_METADATA, handler),
    isSentByHand: isSentByHand(controller, handler),
    version: withConstraints(handler, versions && JSON.stringify(versions.map(String).sort())),
    isOfVersions: versions && versions.length > 1,
    where: `${controller.name}.${handler.name}`,
  }
}

export function ruleOn(target: object): Rule | undefined {
  return Reflect.getMetadata(RULE, target) as Rule | undefined
}

/**
 * Notes a method's rule by its name, too: a decorator that replaces the method leaves the rule on the method that it replaced.
 * `prototype`: that on which the method is written.
 */
export function noteRule(prototype: object, name: string | symbol, rule: Rule): void {
  Reflect.defineMetadata(RULE, rule, prototype, name)
}

/** Whether the method of this prototype had a rule that the method which took its place has not. */
export function hasLostRule(prototype: object, name: string | symbol): boolean {
  const noted: unknown = Reflect.getOwnMetadata(RULE, prototype, name)
  return noted !== undefined && ruleOn(Reflect.get(prototype, name) as object) !== noted
}

/** Nest keeps the metadata of parameters by the name of the method. */
function isSentByHand(controller: Class, handler: Handler): boolean {
  const prototype = controller.prototype as Record<string, unknown>
  const names = new MetadataScanner().getAllMethodNames(prototype)
  const name = names.find(candidate => prototype[candidate] === handler) ?? handler.name
  if (Reflect.getMetadata(RESPONSE_PASSTHROUGH_METADATA, controller, name) === true) return false
  const parameters: object = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) ?? {}
  const ofHand: readonly number[] = [RouteParamtypes.RESPONSE, RouteParamtypes.NEXT]
  return Object.keys(parameters).some(key => ofHand.includes(Number(key.split(':')[0])))
}

/** The versions that `@Version()` or `@Controller({ version })` gives; one may be the symbol for none in particular. */
function versionsOn(target: object): (string | symbol)[] | undefined {
  const version = Reflect.getMetadata(VERSION_METADATA, target) as string | symbol | (string | symbol)[] | undefined
  return version === undefined ? undefined : [version].flat()
}

/** Adds the constraints by which Fastify chooses among handlers of one method and path; they may depend on headers that are in no key. */
function withConstraints(handler: Handler, version: string | undefined): string | undefined {
  const constraints: unknown = Reflect.getMetadata(CONSTRAINTS_METADATA, handler)
  if (constraints === undefined) return version
  return JSON.stringify([version, constraints], (_name, value: unknown) =>
    value instanceof RegExp ? String(value) : value,
  )
}
