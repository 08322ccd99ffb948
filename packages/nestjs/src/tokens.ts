// The tokens of this package's providers in Nest's container.

import { Inject } from '@nestjs/common'
import { forRoot } from './messages.js'

/** The set of a module that is imported without a name. */
export const DEFAULT_SET = 'default'

/** The token of each module's LockSet. Nest shows this name in its error if a user imports the module without calling forRoot. */
export const LOCK_SET: unique symbol = Symbol('options of DspinlockModule.forRoot()')

/** A token for `app.get()` and `inject: []`. Nest shows it if it cannot be resolved, so its text says what to import. */
export function getLockEngineToken(name: string = DEFAULT_SET): string {
  return `LockEngine of ${forRoot(name)}`
}

/** Injects the lock engine of `DspinlockModule`, or of the one with `name`. */
export function InjectLockEngine(name: string = DEFAULT_SET): PropertyDecorator & ParameterDecorator {
  return Inject(getLockEngineToken(name))
}
