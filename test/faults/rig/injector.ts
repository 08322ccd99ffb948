// Decides from a seed which fault comes when, and carries it out.

import { setTimeout as delay } from 'node:timers/promises'
import type { FaultProxy } from '../../support/fault-proxy.js'
import type { Incident } from './checker.js'
import { now } from './history.js'
import { randomFrom, shuffle } from './random.js'

/** Faults for workers behind proxies, and for one primary with its replica. */
export const faultKinds = [
  'kill worker',
  'stop worker',
  'cut connections',
  'refuse connections',
  'black hole',
  'delay',
  'cut mid-reply',
  'client kill',
  'script flush',
  'restart with AOF',
  'restart empty',
  'fail over',
] as const
/** Faults where clients find their servers by themselves, so that there is no proxy in between. */
export const sentinelFaultKinds = ['kill worker', 'stop worker', 'client kill', 'script flush', 'fail over'] as const
export const clusterFaultKinds = [...sentinelFaultKinds, 'migrate slot'] as const
export type FaultKind = (typeof faultKinds)[number] | (typeof clusterFaultKinds)[number]

/** A worker as the injector sees it. */
export interface Victim {
  readonly name: string
  readonly proxy: FaultProxy | undefined
  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void
  /** Starts another process in its place. */
  replace(): Promise<void>
}

/** The servers that are tormented. Some faults are not for every kind of servers. */
export interface Servers {
  restart?(): Promise<void>
  /** `lost` is called when the old data is out of reach and the new server answers. */
  restartEmpty?(lost: () => void): Promise<void>
  /** Moves the slot of one of the keys to another master. `choice` is at least 0 and below 1. */
  migrateSlot?(choice: number): Promise<void>
  failOver(lost: () => void, choice: number): Promise<void>
  flushScripts(): Promise<void>
  killClients(): Promise<void>
}

export interface InjectorOptions {
  readonly seed: number
  readonly kinds: readonly FaultKind[]
  /** The average time from the beginning of one fault to that of the next. */
  readonly everyMs: number
  readonly leaseMs: number
  readonly victims: () => readonly Victim[]
  readonly servers: Servers
}

export class Injector {
  readonly incidents: Incident[] = []
  /** How many faults of each kind were injected. */
  readonly counts: Map<FaultKind, number>
  readonly #options: InjectorOptions
  readonly #random: () => number
  readonly #underWay = new Set<Promise<void>>()
  /** Workers with a fault under way: each has one at a time. */
  readonly #busy = new Set<string>()
  #serverBusy: Promise<void> = Promise.resolve()

  constructor(options: InjectorOptions) {
    this.#options = options
    this.#random = randomFrom(options.seed)
    this.counts = new Map(options.kinds.map(kind => [kind, 0]))
  }

  /** Injects until `until` (on the rig's clock), then waits for the last faults to end. */
  async run(until: number): Promise<void> {
    let deck: FaultKind[] = []
    while (now() < until) {
      await delay(this.#options.everyMs * (0.5 + this.#random()))
      if (deck.length === 0) deck = shuffle(this.#options.kinds, this.#random)
      const kind = deck.pop()
      if (kind === undefined || now() >= until) break
      const injected = this.#inject(kind).then(() => void this.#underWay.delete(injected))
      this.#underWay.add(injected)
    }
    await Promise.all(this.#underWay)
  }

  async #inject(kind: FaultKind): Promise<void> {
    const random = this.#random
    const durationMs = 200 + random() * 1_300
    const dropsAfterwards = random() < 0.5
    const choice = random()
    switch (kind) {
      case 'kill worker':
        return this.#onVictim(kind, async victim => {
          const at = now()
          victim.signal('SIGKILL')
          this.incidents.push({ kind: 'killed', worker: victim.name, from: at, to: at })
          await victim.replace()
        })
      case 'stop worker':
        return this.#onVictim(kind, async victim => {
          const from = now()
          victim.signal('SIGSTOP')
          await delay(this.#options.leaseMs * 1.1 + durationMs / 2)
          victim.signal('SIGCONT')
          this.incidents.push({ kind: 'stopped', worker: victim.name, from, to: now() })
        })
      case 'cut connections':
        return this.#onVictim(kind, async ({ proxy }) => proxy?.cut())
      case 'cut mid-reply':
        return this.#onVictim(kind, async ({ proxy }) => proxy?.cutMidReply())
      case 'refuse connections':
        return this.#onVictim(kind, async ({ proxy }) => {
          proxy?.refuse()
          await delay(durationMs)
          proxy?.heal()
        })
      case 'black hole':
        return this.#onVictim(kind, async ({ proxy }) => {
          proxy?.blackHole()
          await delay(durationMs)
          if (dropsAfterwards) proxy?.cut()
          proxy?.heal()
        })
      case 'delay':
        return this.#onVictim(kind, async ({ proxy }) => {
          proxy?.delay(durationMs / 3)
          await delay(durationMs)
          proxy?.heal()
        })
      case 'client kill':
        return this.#onServer(kind, servers => servers.killClients())
      case 'script flush':
        return this.#onServer(kind, servers => servers.flushScripts())
      case 'restart with AOF':
        return this.#onServer(kind, async servers => servers.restart?.())
      case 'restart empty':
        return this.#losingData(kind, async (servers, lost) => servers.restartEmpty?.(lost))
      case 'fail over':
        return this.#losingData(kind, (servers, lost) => servers.failOver(lost, choice))
      case 'migrate slot':
        return this.#onServer(kind, async servers => servers.migrateSlot?.(choice))
    }
  }

  async #onVictim(kind: FaultKind, work: (victim: Victim) => Promise<void>): Promise<void> {
    const free = this.#options.victims().filter(victim => !this.#busy.has(victim.name))
    const victim = free[Math.floor(this.#random() * free.length)]
    if (victim === undefined) return
    this.#busy.add(victim.name)
    this.#count(kind)
    await work(victim)
    this.#busy.delete(victim.name)
  }

  #count(kind: FaultKind): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
  }

  /** Faults of servers come one after another, because a server that is being restarted cannot fail over. */
  #onServer(kind: FaultKind, work: (servers: Servers) => Promise<void>): Promise<void> {
    this.#serverBusy = this.#serverBusy.then(async () => {
      this.#count(kind)
      await work(this.#options.servers)
    })
    return this.#serverBusy
  }

  #losingData(kind: FaultKind, work: (servers: Servers, lost: () => void) => Promise<void>): Promise<void> {
    return this.#onServer(kind, servers => {
      const from = now()
      return work(servers, () => void this.incidents.push({ kind: 'data-lost', worker: '', from, to: now() }))
    })
  }
}
