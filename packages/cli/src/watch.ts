// Shows live keys again and again, until told to stop.

import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { DspinlockError, type KeyState, type Store } from '@dspinlock/core'
import { printable } from './messages.js'
import { drawKeys, sortKeys } from './tables.js'

export interface WatchOptions {
  readonly intervalMs: number
  /** How many times; undefined: until stopped. */
  readonly count: number | undefined
  readonly asJson: boolean
  /** `list` may leave keys out. */
  readonly isSelection: boolean
  readonly isTerminal: boolean
  readonly signal: AbortSignal
  readonly list: (store: Store) => Promise<KeyState[]>
  readonly write: (text: string) => Promise<void>
}

/** Clears the terminal and goes to its top. */
const CLEAR = '\u001b[2J\u001b[H'

export async function watch(store: Store, options: WatchOptions): Promise<void> {
  // Neither a Redis that does not answer nor a reader that takes nothing can delay stopping. There is one race for all rounds, because a
  // promise that lasts keeps whatever it was raced with.
  await Promise.race([showEach(store, options), once(options.signal, 'abort')])
}

async function showEach(store: Store, options: WatchOptions): Promise<void> {
  const { intervalMs, count, asJson, isSelection, isTerminal, signal, list, write } = options
  for (let shown = 0; count === undefined || shown < count; shown++) {
    if (shown > 0) await delay(intervalMs, undefined, { signal }).catch(() => {})
    if (signal.aborted) return
    const at = new Date().toISOString()
    let states: KeyState[]
    try {
      states = sortKeys(await list(store))
    } catch (error) {
      if (signal.aborted) return
      // Redis may come back, and somebody who watches wants to see that.
      if (!(error instanceof DspinlockError) || count !== undefined) throw error
      await write(
        asJson
          ? `${JSON.stringify({ at, error: error.message })}\n`
          : `${isTerminal ? CLEAR : ''}${at}  ${printable(error.message)}\n`,
      )
      continue
    }
    if (asJson) {
      await write(`${JSON.stringify({ at, keys: states })}\n`)
      continue
    }
    const held = states.filter(({ state }) => state === 'held').length
    const waiting = states.reduce((sum, { waiters }) => sum + waiters, 0)
    const head = `${at}  ${states.length} keys, ${held} held, ${waiting} waiting`
    await write(`${isTerminal ? CLEAR : ''}${head}\n\n${drawKeys(states, isSelection)}\n${isTerminal ? '' : '\n'}`)
  }
}
