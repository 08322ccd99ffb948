// Locks around any method of any provider, with or without a request.

import { type LockEngine, Policy, type RunOptions } from '@dspinlock/core'
import { optionError } from '@dspinlock/core/support'
import { mistakes } from './messages.js'
import { checkIsObject } from './options.js'
import { DEFAULT_SET, InjectLockEngine } from './tokens.js'

/** The options of `LockEngine.run`, and `name`, which says whose engine is used if there are several DspinlockModules. */
export interface ExclusiveOptions extends RunOptions<unknown> {
  readonly name?: string
}

/** Only methods that return promises can wait for a turn. */
type AsyncMethodDecorator = <T extends (...args: never[]) => Promise<unknown>>(
  target: object,
  name: string | symbol,
  descriptor: TypedPropertyDescriptor<T>,
) => void

/** Metadata of the method: its name in keys, and the prototype that it was written on. */
const PLACE = Symbol('dspinlock place')

interface Place {
  readonly where: string
  readonly target: object
  /** Set under `'replay'`, because classes that inherit the method have different results. */
  readonly isOfClass: boolean
}

type AnyMethod = (this: object, ...args: unknown[]) => unknown

/**
 * Lets one call at a time run for each key, across all processes on the same store. `key` is a string, or a function of the arguments.
 * Keys of different methods are always different, because the names of class and method are part of them; if two methods have the same
 * names, that is a TypeError at bootstrap. An inherited method is one method, except under `'replay'`, where each class has its own results.
 * Under `duplicates: 'replay'`, calls that come meanwhile (and for `ttlMs` after) get a copy of the first one's result, made by JSON
 * unless `codec` says otherwise. The caller gets the errors of `LockEngine.run`.
 * @throws TypeError as soon as the class is defined, for wrong options and for anything that is no method.
 */
export function Exclusive(
  key: string | ((...args: never[]) => string),
  options: ExclusiveOptions = {},
): AsyncMethodDecorator {
  if (typeof key !== 'string' && typeof key !== 'function') {
    throw optionError('key of @Exclusive()', key, 'a string or a function of the arguments')
  }
  checkIsObject('@Exclusive()', options)
  const { name = DEFAULT_SET, ...runOptions } = options
  const { codec: _codec, signal: _signal, payload: _payload, label: _label, ...policyOptions } = runOptions
  // Made here also so that wrong options throw now, and not at the first call.
  const { duplicates } = new Policy(policyOptions)
  return (target, method, descriptor) => {
    const original = descriptor?.value as AnyMethod | undefined
    if (typeof original !== 'function') throw mistakes.notAMember('@Exclusive()', 'a method')
    if (typeof target === 'function') throw mistakes.staticMethod(`${target.name}.${String(method)}`)
    // Injected like any property, so that request-scoped providers have it, too, and Nest reports an engine that cannot be resolved.
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

/** The name of the method in keys, for objects of this class. */
export function nameIn(owner: { readonly name: string }, { where, target, isOfClass }: Place): string {
  return isOfClass && owner !== target.constructor ? `${owner.name} ${where}` : where
}

/** Copies metadata, name and length, because other decorators leave metadata on the function itself, and Nest looks at its name. */
function takeLooks<T extends object>(wrapper: T, original: AnyMethod): T {
  for (const key of Reflect.getMetadataKeys(original) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, original), wrapper)
  }
  Object.defineProperty(wrapper, 'name', { value: original.name, configurable: true })
  return Object.defineProperty(wrapper, 'length', { value: original.length, configurable: true })
}
