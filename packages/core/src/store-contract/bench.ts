// What the contract's cases work with: stores on the same data, and mailboxes whose wakes can be awaited.

import { ok } from 'node:assert/strict'
import type { ClaimReply, ClaimRequest, RecordReply, Store, Wake } from '../store.js'

/** What the test runner has to provide. */
export interface ContractEnvironment {
  /** A new store, as another process would make it, on the same data as the others; it is closed after the case. */
  makeStore(): Store
}

export type AddressedWake = Exclude<Wake, { kind: 'resync' }>

/** One claimant: a mailbox on a store of its own, and the tokens that it makes. */
export class Claimant {
  readonly store: Store
  readonly #id: string
  readonly #inbox: AddressedWake[] = []
  readonly #listeners = new Set<() => void>()
  readonly #ready: Promise<void>
  #tokens = 0

  constructor(store: Store) {
    this.store = store
    let listening = (): void => {}
    this.#ready = store.synchronous ? Promise.resolve() : new Promise(resolve => (listening = resolve))
    this.#id = store.open(wake => {
      if (wake.kind === 'resync') return listening()
      this.#inbox.push(wake)
      for (const listener of this.#listeners) listener()
    }).id
  }

  /** Resolves when messages can arrive; a store in the same process is ready at once. */
  async ready(): Promise<this> {
    await inTime(
      this.#ready,
      'no resync, which a store that is not synchronous sends to each mailbox once its messages arrive, came',
    )
    return this
  }

  token(): string {
    return `${this.#id}.${++this.#tokens}`
  }

  async claim(key: string, token: string, wishes: Partial<ClaimRequest> = {}): Promise<ClaimReply> {
    const defaults = { leaseMs: 10_000, wait: true, takeRecord: false, payload: '', arrival: 0 }
    return this.store.claim({ key, token, ...defaults, ...wishes })
  }

  /** The record that the store knows without asking; undefined if it knows none, or has no `recall`. */
  recall(key: string, payload = ''): RecordReply | undefined {
    return this.store.recall?.(key, payload)
  }

  /** Claims, and expects to get the key. */
  async hold(key: string, wishes: Partial<ClaimRequest> = {}): Promise<{ token: string; fence: number }> {
    const token = this.token()
    const reply = await this.claim(key, token, wishes)
    ok(reply.state === 'held', `expected to hold, but the claim was answered ${reply.state}`)
    return { token, fence: reply.fence }
  }

  /** Claims, and expects to wait. */
  async queue(key: string, wishes: Partial<ClaimRequest> = {}): Promise<Queued> {
    const token = this.token()
    const reply = await this.claim(key, token, wishes)
    ok(reply.state === 'busy', `expected to wait, but the claim was answered ${reply.state}`)
    return { token, ...reply }
  }

  async settle(key: string, token: string, record: Uint8Array, ttlMs: number, retainMs = 5_000): Promise<boolean> {
    return this.store.settle({ key, token, record, ttlMs, retainMs })
  }

  async release(key: string, token: string, passMs = 0): Promise<boolean> {
    return (await this.store.release({ key, token, passMs, maxLocalTurns: 1 })).mine
  }

  /** The next wake for `token`, which may have come already. */
  async wake(token: string): Promise<AddressedWake> {
    for (;;) {
      const at = this.#inbox.findIndex(wake => wake.token === token)
      const [wake] = at < 0 ? [] : this.#inbox.splice(at, 1)
      if (wake !== undefined) return wake
      let listener = (): void => {}
      const woken = new Promise<void>(resolve => {
        listener = resolve
        this.#listeners.add(listener)
      })
      await inTime(woken, 'no wake came').finally(() => this.#listeners.delete(listener))
    }
  }

  /** The number of wakes for `token` so far that were not taken by `wake`. */
  wakesFor(token: string): number {
    return this.#inbox.filter(wake => wake.token === token).length
  }
}

/** Rejects, so that a case does not wait for ever, if the event has not come after three seconds. */
async function inTime(event: Promise<void>, otherwise: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${otherwise} within 3 s`)), 3_000)
  })
  await Promise.race([event, late]).finally(() => clearTimeout(timer))
}

export type Queued = { readonly token: string } & Extract<ClaimReply, { state: 'busy' }>

export interface Bench {
  readonly a: Claimant
  readonly b: Claimant
  readonly c: Claimant
  /** A key that is used in this case only. */
  readonly key: string
}

export interface ContractCase {
  readonly name: string
  run(bench: Bench): Promise<void>
}

/** Waits for leases and marks to run out, which the stores' clocks decide, so that there is no event to wait for. */
export function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
