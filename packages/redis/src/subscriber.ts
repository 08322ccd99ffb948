// The one listening connection of a store: wakes come in, and are handed to the mailbox that each is for.

import { publishTrouble, type Wake } from '@dspinlock/core'
import type { StoreClient } from './clients/client.js'
import { unreadableWakeError } from './messages.js'
import { decodeDrop, decodeWake } from './wakes.js'

export interface SubscriberEvents {
  /** Messages arrive from now on (again). */
  onListening(): void
  /** Messages may be lost from now on. */
  onLost(): void
  /** The record of the key whose state has this name is gone. */
  onDropped(name: string): void
}

export class Subscriber {
  readonly #listening: { close(): void }
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  /** Instead of being handed the key, a waiter is told to ask for it. */
  readonly #asksForTurns: boolean
  readonly #events: SubscriberEvents

  /** `onTrouble`: told when the connection fails. */
  constructor(
    client: StoreClient,
    channels: readonly string[],
    asksForTurns: boolean,
    onTrouble: (error: unknown) => void,
    events: SubscriberEvents,
  ) {
    this.#events = events
    this.#asksForTurns = asksForTurns
    this.#listening = client.listen(channels, {
      onMessage: message => this.#receive(message),
      onListening: () => {
        events.onListening()
        // What was said while nobody listened is lost: whoever waits has to ask.
        for (const onWake of this.#mailboxes.values()) onWake({ kind: 'resync' })
      },
      onLost: () => events.onLost(),
      onTrouble,
    })
  }

  add(id: string, onWake: (wake: Wake) => void): void {
    this.#mailboxes.set(id, onWake)
  }

  remove(id: string): void {
    this.#mailboxes.delete(id)
  }

  close(): void {
    this.#mailboxes.clear()
    this.#listening.close()
  }

  #receive(message: Buffer): void {
    const dropped = decodeDrop(message)
    if (dropped !== undefined) return this.#events.onDropped(dropped)
    const wake = decodeWake(message)
    if (wake === undefined || wake.kind === 'resync') {
      publishTrouble('redis', 'wake', unreadableWakeError(message.length))
      return
    }
    const told: Wake = wake.kind === 'turn' && this.#asksForTurns ? { kind: 'look', token: wake.token } : wake
    this.#mailboxes.get(wake.token.slice(0, wake.token.indexOf('.')))?.(told)
  }
}
