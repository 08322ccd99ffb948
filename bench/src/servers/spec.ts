// The argument with which a server under measurement is started.

import type { StoreKind } from '../peers/middleware/subject.js'

export interface ServerSpec {
  readonly framework: 'express' | 'koa' | 'nest'
  /** The guard; undefined: nothing is mounted. */
  readonly guard?: OwnGuard | PeerGuard
  /** What is mounted in place of a guard. */
  readonly least?: Least
  readonly redisUrl: string
  /** The listeners on dspinlock's diagnostics channels. */
  readonly listener?: 'channels' | 'prometheus' | 'opentelemetry' | 'log'
  /** Bodies up to this size are parsed; the default is the framework's. */
  readonly maxBodyBytes?: number
}

/** dspinlock. */
export interface OwnGuard {
  readonly by: 'dspinlock'
  readonly store: StoreKind
  /** Where it is mounted: in front of the app, app-wide, on the route before the body parser, or after it. */
  readonly place: 'in-front' | 'app' | 'before-parser' | 'route'
  /** The options of the middleware, without the store. */
  readonly options: Readonly<Record<string, unknown>>
  /** Records that the process has seen are kept in it. */
  readonly localCache?: { readonly maxBytes: number; readonly maxAgeMs: number }
}

/** Something that does no more than necessary. */
export interface Least {
  /**
   * It calls the next handler (`pass`), answers as a replay does (`answer`), answers with the result of one GET (`ask`), or claims a
   * name and keeps the answer under it (`record`).
   */
  readonly does: 'pass' | 'answer' | 'ask' | 'record'
  readonly place: OwnGuard['place']
  /** The store of `record`. Default memory. */
  readonly store?: StoreKind
  /** It does so in the next turn of the event loop, so that requests that come together take each step together. */
  readonly isDeferred?: boolean
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
  /** The event loop's delay since the last call (99th percentile), in milliseconds. */
  readonly loopDelayP99Ms: number
}
