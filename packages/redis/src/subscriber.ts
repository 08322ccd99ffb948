// The one listening connection of a store: wakes come in, and are handed to the mailbox that each is for.

import { publishTrouble, type Wake } from '@dspinlock/core'
import { duplicateFor, type OwnClient, type RedisClient } from './connection.js'
import { decodeWake } from './wakes.js'

export class Subscriber {
  readonly #client: OwnClient
  readonly #channel: string
  readonly #mailboxes = new Map<string, (wake: Wake) => void>()
  #closed = false

  constructor(beside: RedisClient, channel: string) {
    this.#channel = channel
    this.#client = duplicateFor(beside)
    this.#client.on('ready', () => void this.#subscribe())
    this.#client.on('messageBuffer', (_channel: Buffer, message: Buffer) => this.#receive(message))
  }

  add(id: string, onWake: (wake: Wake) => void): void {
    this.#mailboxes.set(id, onWake)
  }

  remove(id: string): void {
    this.#mailboxes.delete(id)
  }

  close(): void {
    this.#closed = true
    this.#mailboxes.clear()
    this.#client.disconnect()
  }

  async #subscribe(): Promise<void> {
    try {
      await this.#client.subscribe(this.#channel)
      // What was said while nobody listened is lost: whoever waits has to ask.
      for (const onWake of this.#mailboxes.values()) onWake({ kind: 'resync' })
    } catch (error) {
      if (!this.#closed) publishTrouble('redis', 'subscribe', error)
    }
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
    this.#mailboxes.get(wake.token.slice(0, wake.token.indexOf('.')))?.(wake)
  }
}
