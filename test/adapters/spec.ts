// What the contract suite needs of an adapter: an app with these routes, written as is usual in the framework.

import type { Readable } from 'node:stream'
import type { LockEngine, Store } from '@dspinlock/core'
import type { GuardOptions, RequestLock } from '@dspinlock/http'
import type { TestServer } from '../support/http.js'

/** What a handler answers; the adapter sends it as a handler of its framework would. */
export interface Reply {
  /** Default: that of the framework, which is 200. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** A string is sent as text, a Buffer as bytes, a stream as a stream, undefined as no body, anything else as JSON. */
  readonly body?: unknown
}

export interface Call {
  /** The parsed body, or the one that the handler read itself if no parser is mounted. */
  body(): Promise<unknown>
  readonly lock: RequestLock | undefined
}

/** Options that mean the same to every adapter. */
export type NeutralOptions = Omit<
  GuardOptions<never, never>,
  'store' | 'engine' | 'identity' | 'key' | 'skip' | 'onRefused'
> & {
  /** `'public'`, or the name of the request header that says who is asking, from which the adapter makes a function of its own request. */
  readonly identity?: 'public' | { readonly header: string }
  /** Makes the adapter's `onRefused` reject with this. */
  readonly refuseWith?: Error
}

/** Where the framework's JSON parser stands: before the guard, between guard and handler, or nowhere. */
export type ParserPlace = 'before' | 'after' | 'none'

export interface RouteSpec {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Undefined: no guard on the route itself. */
  readonly guard?: NeutralOptions
  /** Default `'none'`. */
  readonly parser?: ParserPlace
  readonly handle: (call: Call) => Reply | Promise<Reply>
}

export interface AppSpec {
  /** The store of every guard of the app. */
  readonly store: Store
  /** The app-wide guard; undefined: none. */
  readonly appWide?: NeutralOptions
  /** The value of a header `X-Outside`, set on every response by something that is mounted outside the guards. */
  readonly outside?: () => string
  readonly routes: readonly RouteSpec[]
}

export interface RunningApp {
  readonly server: TestServer
  /** The engine that the guards share. */
  readonly engine: LockEngine
  /** Messages of the errors that reached the framework's error handling, which answers 500 with the text `handled`. */
  readonly errors: readonly string[]
  /** Closes the guards, not the server. */
  close(): Promise<void>
}

export interface AdapterSpec {
  /** Framework and version. */
  readonly name: string
  /** Where its guards can be mounted. */
  readonly parsers: readonly ParserPlace[]
  start(app: AppSpec): Promise<RunningApp>
}

export function isStream(body: unknown): body is Readable {
  return typeof body === 'object' && body !== null && 'pipe' in body
}
