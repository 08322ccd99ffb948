// The one listening connection of a store: it receives wakes, and hands each to the mailbox that it is for.

import { publishTrouble, type Wake } from '@dspinlock/core'
import type { ListeningConnection, StoreClient } from './clients/client.js'
import { unheardError, unreadableWakeError } from './messages.js'
import { decodeDrop, decodeWake } from './wakes.js'

/** The shortest time after which the connection is made anew once more because the server does not know that it listens. */
const RECONNECT_MS = 1_000

export interface SubscriberEvents {
  /** Messages arrive from now on (again). */
  onListening(): void
  /** Messages may be lost from now on. */
  onLost(): void
  /** The record of the key whose state has this name is gone. */
  onDropped(name: string): void
}

export class Subscriber {
  readonly #listening: ListeningConnection
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  /** Whether a waiter is told to ask for the key instead of being handed it. */
  readonly #asksForTurns: boolean
  readonly #events: SubscriberEvents
  #isListening = false
  #reconnectedAt = Number.NEGATIVE_INFINITY

  /** `onTrouble` is called when the connection fails. */
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
        this.#isListening = true
        events.onListening()
        // Messages that came while nobody listened are lost, so all waiters have to ask.
        for (const onWake of this.#mailboxes.values()) onWake({ kind: 'resync' })
      },
      onLost: () => {
        this.#isListening = false
        events.onLost()
      },
      onTrouble,
    })
  }

  add(id: string, onWake: (wake: Wake) => void): void {
    this.#mailboxes.set(id, onWake)
  }

  remove(id: string): void {
    this.#mailboxes.delete(id)
  }

  /** The server that has the keys does not know that this process listens, so the connection leads to another one, or it did when that was said. */
  reconnect(): void {
    const now = performance.now()
    if (!this.#isListening || now - this.#reconnectedAt < RECONNECT_MS) return
    this.#reconnectedAt = now
    publishTrouble('redis', 'wake', unheardError())
    this.#listening.reconnect()
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
