// The one listening connection of a store: wakes come in, and are handed to the mailbox that each is for.

import { publishTrouble, type Wake } from '@dspinlock/core'
import type { StoreClient } from './clients/client.js'
import { decodeWake } from './wakes.js'

export class Subscriber {
  readonly #listening: { close(): void }
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  /** Instead of being handed the key, a waiter is told to ask for it. */
  readonly #asksForTurns: boolean

  /** `onTrouble`: told when the connection fails. `onListening`: whenever it is there (again). */
  constructor(
    client: StoreClient,
    channel: string,
    asksForTurns: boolean,
    onTrouble: (error: unknown) => void,
    onListening: () => void,
  ) {
    this.#asksForTurns = asksForTurns
    this.#listening = client.listen(channel, {
      onMessage: message => this.#receive(message),
      onListening: () => {
        onListening()
        // What was said while nobody listened is lost: whoever waits has to ask.
        for (const onWake of this.#mailboxes.values()) onWake({ kind: 'resync' })
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

  close(): void {
    this.#mailboxes.clear()
    this.#listening.close()
  }

  #receive(message: Buffer): void {
    const wake = decodeWake(message)
    if (wake === undefined || wake.kind === 'resync') {
      publishTrouble(
        'redis',
        'wake',
        new Error(`a message of ${message.length} bytes on the wake channel is not a wake`),
      )
      return
    }
    const told: Wake = wake.kind === 'turn' && this.#asksForTurns ? { kind: 'look', token: wake.token } : wake
    this.#mailboxes.get(wake.token.slice(0, wake.token.indexOf('.')))?.(told)
  }
}
