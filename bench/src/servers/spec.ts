// What a server under measurement is started with.

import type { StoreKind } from '../peers/middleware/subject.js'

export interface ServerSpec {
  readonly framework: 'express' | 'koa' | 'nest'
  /** Undefined: nothing is mounted. */
  readonly guard?: OwnGuard | PeerGuard
  /** In place of any guard: something there that answers all requests with what a replay answers, and does nothing else. */
  readonly answerOnly?: Exclude<OwnGuard['place'], 'app'>
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
