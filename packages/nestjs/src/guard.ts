// The guard: refuses duplicates before pipes and interceptors run.

import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common'
import { NestExchange } from './exchange.js'
import { Mount } from './mount.js'

/**
 * For routes whose duplicates are only refused (`duplicates: 'reject'`), by `@UseGuards(DspinlockGuard)` after the guards that
 * say who asks. Takes the options of `@Dspinlock()` where there is one, and the module's otherwise.
 */
@Injectable()
export class DspinlockGuard extends Mount implements CanActivate {
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const admission = this.findAdmission(context, 'reject')
    if (admission === undefined) return true
    // Never settles for a request that was refused: either answer would make Nest write a second response.
    return new Promise((resolve, reject) => {
      void admission.guard.handle(
        new NestExchange(admission, {
          expose: () => {},
          expectAnswer: () => {},
          proceed: () => resolve(true),
          fail: error => reject(error as Error),
        }),
      )
    })
  }
}
