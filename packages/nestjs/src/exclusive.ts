// Locks around any method of any provider, also where no request is near.

import { type LockEngine, Policy, type RunOptions } from '@dspinlock/core'
import { mistakes } from './messages.js'
import { checkIsObject } from './options.js'
import { DEFAULT_SET, InjectLockEngine } from './tokens.js'

/** What `LockEngine.run` takes, and `name`: whose engine, of several DspinlockModules. */
export interface ExclusiveOptions extends RunOptions<unknown> {
  readonly name?: string
}

/** Only methods that return promises can wait for a turn. */
type AsyncMethodDecorator = <T extends (...args: never[]) => Promise<unknown>>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void

/** Left on the method: what it is called in keys, and the prototype that it was written on. */
const PLACE = Symbol('dspinlock place')

interface Place {
  readonly where: string
  readonly target: object
  /** Under `'replay'`: what a class that inherits the method makes is not what another one makes. */
  readonly isOfClass: boolean
}

type AnyMethod = (this: object, ...args: unknown[]) => unknown

/**
 * One call at a time for each key, across all processes on the same store. `key` is a string, or a function of the arguments; keys
 * of different methods never meet: the names of class and method are part of them, and two of one name are a TypeError at bootstrap.
 * An inherited method is one method, except under `'replay'`, where each class has results of its own.
 * Under `duplicates: 'replay'` calls that come meanwhile (and for `ttlMs` after) get a copy of the first one's result, by JSON
 * unless `codec` says otherwise. The caller gets the errors of `LockEngine.run`.
 * @throws TypeError where it is written, for wrong options and for what is no method.
 */
export function Exclusive(
  key: string | ((...args: never[]) => string),
  options: ExclusiveOptions = {},
): AsyncMethodDecorator {
  if (typeof key !== 'string' && typeof key !== 'function') throw mistakes.noKey(key)
  checkIsObject('@Exclusive()', options)
  const { name = DEFAULT_SET, ...runOptions } = options
  const { codec: _codec, signal: _signal, payload: _payload, label: _label, ...policyOptions } = runOptions
  // Also to have wrong options told here and not at the first call.
  const { duplicates } = new Policy(policyOptions)
  return (target, method, descriptor) => {
    const original = descriptor?.value as AnyMethod | undefined
    if (typeof original !== 'function') throw mistakes.notAMember('@Exclusive()', 'a method')
    if (typeof target === 'function') throw mistakes.staticMethod(`${target.name}.${String(method)}`)
    // Injected like any property, so it is there in request-scoped providers, too, and Nest says so if it cannot be.
    const engineOf = Symbol(`lock engine of ${String(method)}`)
    InjectLockEngine(name)(target, engineOf)
    const where = `${target.constructor.name}.${String(method)}`
    const place: Place = { where, target, isOfClass: duplicates === 'replay' }

    async function exclusive(this: Record<symbol, LockEngine | undefined>, ...args: unknown[]): Promise<unknown> {
      const engine = this?.[engineOf]
      if (engine === undefined) throw mistakes.noEngine(where)
      const own: unknown = typeof key === 'string' ? key : (key as (...given: unknown[]) => unknown).apply(this, args)
      if (typeof own !== 'string') throw mistakes.wrongKey(where, own)
      return engine.run(`${nameIn(this.constructor, place)} ${own}`, () => original?.apply(this, args), runOptions)
    }
    const decorated = takeLooks(exclusive, original)
    Reflect.defineMetadata(PLACE, place, decorated)
    descriptor.value = decorated as unknown as NonNullable<typeof descriptor.value>
  }
}

/** Undefined for methods without the decorator. */
export function placeOf(method: object): Place | undefined {
  return Reflect.getMetadata(PLACE, method) as Place | undefined
}

/** What the method is called in keys, on objects of this class. */
export function nameIn(owner: { readonly name: string }, { where, target, isOfClass }: Place): string {
  return isOfClass && owner !== target.constructor ? `${owner.name} ${where}` : where
}

/** Other decorators leave metadata on the function itself, and Nest looks at its name. */
function takeLooks<T extends object>(wrapper: T, original: AnyMethod): T {
  for (const key of Reflect.getMetadataKeys(original) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, original), wrapper)
  }
  Object.defineProperty(wrapper, 'name', { value: original.name, configurable: true })
  return Object.defineProperty(wrapper, 'length', { value: original.length, configurable: true })
}
