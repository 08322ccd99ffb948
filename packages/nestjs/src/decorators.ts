// The decorators of routes.

import type { RequestLock } from '@dspinlock/http'
import {
  applyDecorators,
  createParamDecorator,
  type ExecutionContext,
  SetMetadata,
  UseInterceptors,
} from '@nestjs/common'
import { DspinlockInterceptor } from './interceptor.js'
import { mistakes } from './messages.js'
import { checkIsObject, copyOptions, type NestRequest, type RouteOptions } from './options.js'
import { noteRule, RULE, type Rule } from './rule.js'
import { isHttp } from './target.js'
import { DEFAULT_SET } from './tokens.js'

/**
 * Guards a route, or all routes of a controller, with DspinlockInterceptor. Options that are not given are those of
 * `DspinlockModule.forRoot()`; if `duplicates` or `idempotencyKey` is given, the module's policy is replaced as a whole. With a name,
 * the module with that name is used. Wrong options, and a method that handles no route, are TypeErrors at bootstrap.
 */
export function Dspinlock<Req = NestRequest, Res = unknown>(
  options?: RouteOptions<Req, Res>,
): ClassDecorator & MethodDecorator
export function Dspinlock<Req = NestRequest, Res = unknown>(
  name: string,
  options?: RouteOptions<Req, Res>,
): ClassDecorator & MethodDecorator
export function Dspinlock(first: string | object = {}, second: object = {}): ClassDecorator & MethodDecorator {
  refuseBare('@Dspinlock()', first, second)
  const [set, options] = typeof first === 'string' ? [first, second] : [DEFAULT_SET, first]
  checkIsObject('@Dspinlock()', options)
  const rule: Rule = { kind: 'guard', set, options: copyOptions(options) }
  return onMembers(
    '@Dspinlock()',
    rule,
    applyDecorators(SetMetadata(RULE, rule), UseInterceptors(DspinlockInterceptor)),
  )
}

/** Excepts a route, or all routes of a controller, from an interceptor or guard that is bound further out. */
export function SkipDspinlock(): ClassDecorator & MethodDecorator
export function SkipDspinlock(first: unknown = {}, second: unknown = {}): ClassDecorator & MethodDecorator {
  refuseBare('@SkipDspinlock()', first, second)
  const rule: Rule = { kind: 'skip' }
  return onMembers('@SkipDspinlock()', rule, SetMetadata(RULE, rule))
}

/** The lock that the request runs under, a RequestLock; undefined if dspinlock did not guard the request. */
export const CurrentLock: () => ParameterDecorator = createParamDecorator(
  (_data: unknown, context: ExecutionContext) =>
    isHttp(context) ? context.getArgByIndex<{ dspinlock?: RequestLock }>(0).dspinlock : undefined,
)

/** Without parentheses, a decorator is given the class, or a prototype and a name, and what it returns decorates nothing. */
function refuseBare(text: string, first: unknown, second: unknown): void {
  const isMember = typeof first === 'object' && (typeof second === 'string' || typeof second === 'symbol')
  if (isMember || typeof first === 'function') throw mistakes.noParentheses(text)
}

type Decorate = (target: object, name?: string | symbol, descriptor?: PropertyDescriptor) => void

function onMembers(text: string, rule: Rule, decorate: unknown): ClassDecorator & MethodDecorator {
  const checked: Decorate = (target, name, descriptor) => {
    if (name === undefined) return (decorate as (target: object) => void)(target)
    if (typeof descriptor?.value !== 'function') throw mistakes.notAMember(text, 'a controller or a route handler')
    noteRule(target, name, rule)
    return (decorate as Decorate)(target, name, descriptor)
  }
  return checked as ClassDecorator & MethodDecorator
}
