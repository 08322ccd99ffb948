// The interceptor: of many duplicates, only one runs what is inside of it.

import { type CallHandler, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common'
import { HttpAdapterHost } from '@nestjs/core'
import type { Observable } from 'rxjs'
import { findPassage, openPassage } from './entry.js'
import { Mount } from './mount.js'

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
    // If an interceptor further out tries again, the request is not admitted a second time.
    const passage = admission === undefined ? findPassage(context) : openPassage(admission)
    if (passage === undefined) return work
    return passage.guard(work, { handler: context.getHandler(), adapter: this.adapterHostOfNest.httpAdapter })
  }
}
