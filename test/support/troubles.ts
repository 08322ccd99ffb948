// Listens to what one part of the library publishes as trouble.

import { channels, type TroubleEvent } from '@dspinlock/core'

/**
 * The channel is shared by the whole process, and engines of other tests may still report their closed stores, so only troubles of `source` are
 * noted, until `stop`.
 */
export function noteTroubles(source: 'http' | 'redis' | 'spinlock'): {
  readonly noted: readonly TroubleEvent[]
  readonly stop: () => void
} {
  const noted: TroubleEvent[] = []
  const listener = (event: unknown): void => {
    if ((event as TroubleEvent).source === source) noted.push(event as TroubleEvent)
  }
  channels.trouble.subscribe(listener)
  return {
    noted,
    stop: () => {
      channels.trouble.unsubscribe(listener)
    },
  }
}
