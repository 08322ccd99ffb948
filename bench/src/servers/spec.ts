// What a server under measurement is started with.

import type { StoreKind } from '../peers/middleware/subject.js'

export interface ServerSpec {
  readonly framework: 'express' | 'koa' | 'nest'
  /** Undefined: nothing is mounted. */
  readonly guard?: OwnGuard | PeerGuard
  /** In place of any guard. */
  readonly least?: Least
  readonly redisUrl: string
  /** Who listens to dspinlock's diagnostics channels. */
  readonly listener?: 'channels' | 'prometheus' | 'opentelemetry' | 'log'
  /** Bodies up to this size are parsed; default as the framework has it. */
  readonly maxBodyBytes?: number
}

/** dspinlock. */
export interface OwnGuard {
  readonly by: 'dspinlock'
  readonly store: StoreKind
  /** In front of the app, app-wide, on the route before the body parser, or behind it. */
  readonly place: 'in-front' | 'app' | 'before-parser' | 'route'
  /** As they go to the middleware, without the store. */
  readonly options: Readonly<Record<string, unknown>>
  /** Records already seen are kept in the process. */
  readonly localCache?: { readonly maxBytes: number; readonly maxAgeMs: number }
}

/** Something that does no more than it has to. */
export interface Least {
  /**
   * It calls what comes next (`pass`), answers with what a replay answers (`answer`), does so with what it is given by one GET (`ask`), or claims
   * a name and keeps the answer under it (`record`).
   */
  readonly does: 'pass' | 'answer' | 'ask' | 'record'
  readonly place: OwnGuard['place']
  /** Of `record`. Default memory. */
  readonly store?: StoreKind
}

export interface PeerGuard {
  readonly by: string
  readonly store: StoreKind
}

export interface Usage {
  readonly cpuUs: number
  readonly runs: number
  readonly heapUsed: number
  readonly external: number
  /** Since the last call, in milliseconds. */
  readonly loopDelayP99Ms: number
}
