// The interceptor: of many duplicates, only one runs what is inside of it.

import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common'
import { HttpAdapterHost } from '@nestjs/core'
import type { Observable } from 'rxjs'
import { findPassage, openPassage } from './entry.js'
import { isMount, Mount } from './mount.js'
import { type Class, type Handler, readRoute } from './rule.js'

/**
 * Of many duplicate requests, one runs. Bind it for all routes with `{ provide: APP_INTERCEPTOR, useClass: DspinlockInterceptor }`
 * (then it guards POST, PUT, PATCH and DELETE), or on controllers and methods by `@Dspinlock()` or `@UseInterceptors()` (then it
 * guards every request that reaches them). If it is bound more than once, the place nearest to the handler decides. Contexts
 * other than HTTP, and `@Sse()`, pass through.
 */
@Injectable()
export class DspinlockInterceptor extends Mount implements NestInterceptor {
  @Inject(HttpAdapterHost)
  private readonly adapterHostOfNest!: HttpAdapterHost

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const admission = this.findAdmission(context, 'any')
    const work: Observable<unknown> = next.handle()
    // If an interceptor further out tries again, or a guard of ours has taken the request, it is not admitted a second time.
    const passage = admission === undefined ? findPassage(context) : openPassage(admission)
    if (passage === undefined) return work
    return passage.guard(work, { mount: this, context, adapter: this.adapterHostOfNest.httpAdapter })
  }

  /** Whether nothing further out can change a value that this gives; in doubt, something can. @internal */
  isOutermost(context: ExecutionContext): boolean {
    const bound = readRoute(context.getClass() as Class, context.getHandler() as Handler).interceptors
    const last = bound.findLastIndex(isMount)
    const forAll: object[] = this.configOfNest.getGlobalInterceptors()
    const scoped = this.configOfNest.getGlobalRequestInterceptors().map(({ metatype }) => metatype)
    const at = last < 0 ? forAll.indexOf(this) : -1
    const outside = at < 0 ? [...forAll, ...scoped, ...bound.slice(0, Math.max(last, 0))] : forAll.slice(0, at)
    return [this, ...outside].every(passesOn)
  }
}

/** Whether an interceptor is ours and gives what is inside of it as it is, as a subclass with its own `intercept` may not. */
function passesOn(interceptor: unknown): boolean {
  const methods: unknown = typeof interceptor === 'function' ? interceptor.prototype : interceptor
  return (methods as Partial<DspinlockInterceptor> | undefined)?.intercept === DspinlockInterceptor.prototype.intercept
}
