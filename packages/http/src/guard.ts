// What every adapter is built on: it takes options and returns a guard, which sees requests through.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { LockEngine, type MaybePromise, memoryStore } from '@dspinlock/core'
import { credentials, routing } from './conventional-headers.js'
import { isGuarded } from './eligible.js'
import { leaseEngine } from './engines.js'
import type { Exchange } from './exchange.js'
import { IdentityLimit } from './identity-limit.js'
import { nothingThrown, warn } from './messages.js'
import { type GuardOptions, type GuardSettings, readGuardOptions } from './options.js'
import { passThrough } from './passage.js'
import { runSteps } from './steps.js'
import { followRequest } from './tracing.js'
import type { PassageTools } from './turn.js'

export interface Guard<Req, Res> {
  readonly engine: LockEngine
  /** Whether a request is to be guarded. If not, the adapter hands it on itself. */
  guards(req: IncomingMessage, onRoute: boolean): boolean
  /**
   * Sees a request through, until it was answered or handed on, or its client is gone. Returns no
   * promise if nothing had to be waited for. Never throws or rejects: errors are handed to
   * `exchange.fail`, which must not throw.
   */
  handle(exchange: Exchange<Req, Res>): MaybePromise<void>
  /**
   * Closes the engine once no other middleware uses it: then newcomers are refused with 503, and holders finish. A store or an engine that
   * was given stays open.
   */
  close(): Promise<void>
}

/** How many middlewares with a memory of their own are made after the first request, until it looks as if each request made one. */
const TOO_MANY = 100

/** Undefined before the first request. */
let madeSince: number | undefined

/** @throws TypeError naming option and value for wrong options. */
export function createGuard<Req = IncomingMessage, Res = ServerResponse>(
  options?: GuardOptions<Req, Res>,
): Guard<Req, Res> {
  const settings = readGuardOptions(options)
  if (madeSince !== undefined && !settings.engine && !settings.store && ++madeSince === TOO_MANY)
    warn('DSPINLOCK_W_MADE_OFTEN')
  const lease = leaseEngine(settings)
  const { engine } = lease
  let local: LockEngine | undefined
  const tools: PassageTools<Req, Res> = {
    settings,
    engine,
    covered: new Set(listCovered(settings)),
    identityLimit:
      settings.maxRequestsPerIdentity === undefined ? undefined : new IdentityLimit(settings.maxRequestsPerIdentity),
    localEngine: () => {
      local ??= new LockEngine({ store: memoryStore() })
      return local
    },
  }
  return {
    engine,
    guards: (req, onRoute) => isGuarded(req, settings.methods, onRoute, settings.headFromGet),
    handle: exchange => {
      madeSince ??= 0
      try {
        const handled = followRequest(exchange, () => runSteps(passThrough(exchange, tools)))
        return handled instanceof Promise ? handled.catch((error: unknown) => fail(exchange, error)) : handled
      } catch (error) {
        fail(exchange, error)
      }
    },
    close: async () => {
      await Promise.all([lease.close(), local?.close()])
    },
  }
}

/** A framework would take an undefined error for no error, and go on. */
function fail<Req, Res>(exchange: Exchange<Req, Res>, error: unknown): void {
  exchange.fail(error || nothingThrown())
}

/** Request headers, in lower case, that are part of the key. */
function listCovered<Req, Res>({ key, identity }: GuardSettings<Req, Res>): string[] {
  return [
    'host',
    ...routing,
    ...(key === undefined ? ['content-type', 'content-encoding'] : []),
    ...(identity === undefined ? credentials : []),
  ]
}
