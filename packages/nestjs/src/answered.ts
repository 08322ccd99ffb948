// Marks responses that are written already. Nest answers with whatever its interceptors return, so its adapter has to know about them.

import type { AbstractHttpAdapter } from '@nestjs/core'

/** A property that marks the platform's response. */
const ANSWERED = Symbol('dspinlock answered')

interface Answered {
  [ANSWERED]?: true
}

const taught = new WeakSet<object>()

/** The adapter's methods by which Nest, its exception filters and filters built on them write an answer. */
const answers = ['reply', 'render', 'redirect', 'end'] as const

/** From now on Nest does not write to this response (the platform's) any more. */
export function markAnswered(response: object): void {
  ;(response as Answered)[ANSWERED] = true
}

/** Makes the adapter leave answered responses alone. Does nothing for an adapter that was taught already. */
export function teachAdapter(adapter: AbstractHttpAdapter): void {
  if (taught.has(adapter)) return
  taught.add(adapter)
  for (const name of answers) {
    const write = adapter[name] as (...args: unknown[]) => unknown
    Object.defineProperty(adapter, name, {
      value(this: AbstractHttpAdapter, response: object, ...rest: unknown[]): unknown {
        return (response as Answered)[ANSWERED] === true ? undefined : Reflect.apply(write, this, [response, ...rest])
      },
      configurable: true,
      enumerable: false,
      writable: true,
    })
  }
}
