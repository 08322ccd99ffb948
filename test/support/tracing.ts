// Listens to tracing channels in tests, and keeps what was published, in order.

import type { TraceChannel } from '@dspinlock/core/support'

export interface Heard<T> {
  readonly on: string
  readonly message: T
}

/** Keeps what the channels publish until `stop`, but only messages that `accepts` takes. */
export function hear<T extends object>(
  channels: Readonly<Record<string, TraceChannel<T>>>,
  accepts: (message: T) => boolean = () => true,
): { readonly heard: Heard<T>[]; readonly names: () => string[]; readonly stop: () => void } {
  const heard: Heard<T>[] = []
  const stops: (() => void)[] = []
  for (const [name, channel] of Object.entries(channels)) {
    for (const event of ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const) {
      const listener = (message: unknown): void => {
        if (accepts(message as T)) heard.push({ on: `${name} ${event}`, message: message as T })
      }
      channel[event].subscribe(listener)
      stops.push(() => {
        channel[event].unsubscribe(listener)
      })
    }
  }
  return {
    heard,
    /** Only starts and ends. */
    names: () => heard.map(({ on }) => on).filter(on => / (start|asyncEnd|error)$/.test(on)),
    stop: () => {
      for (const stop of stops) stop()
    },
  }
}
