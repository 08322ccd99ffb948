// The guard: refuses duplicates before pipes and interceptors run.

import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common'
import { openPassage } from './entry.js'
import { NestExchange } from './exchange.js'
import { Mount } from './mount.js'

/**
 * For routes whose duplicates are only refused (`duplicates: 'reject'`). Bind it by `@UseGuards(DspinlockGuard)`, after the guards that
 * find out who is asking. It takes the options of the route's `@Dspinlock()` if there is one, otherwise those of the module. On routes that return
 * Observables or generators, bind the interceptor, too: it ends the hold if the client leaves.
 */
@Injectable()
export class DspinlockGuard extends Mount implements CanActivate {
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const admission = this.findAdmission(context, 'reject')
    if (admission === undefined) return true
    // For a refused request the promise never settles, because either result would make Nest write a second response.
    return new Promise((resolve, reject) => {
      const passage = openPassage(admission)
      void admission.guard.handle(
        new NestExchange(admission, {
          expose: lock => passage.expose(lock),
          expectAnswer: () => {},
          proceed: () => {
            passage.begin()
            resolve(true)
          },
          fail: error => reject(error as Error),
        }),
      )
    })
  }
}
