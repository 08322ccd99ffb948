// Two servers of one application that share a store (in memory it is one server, twice), and the holds on it.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { LockEngine, Store } from '@dspinlock/core'
import { memoryStore } from '@dspinlock/core'
import type { GuardOptions, RequestLock } from '@dspinlock/http'
import { redisStore } from '@dspinlock/redis'
import { type Answer, serve, type TestServer, until } from './http.js'
import { type GuardedHandle, guardHandle } from './plain.js'
import { redisUrl } from './redis.js'

/** One run of the handler under test. */
export interface Run {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly lock: RequestLock | undefined
}

export interface Life {
  /** The runs on all servers, in order. */
  readonly runs: Run[]
  /** The highest number of runs at once whose responses had not ended. */
  readonly most: () => number
  /** Sends a raw request to the holder's server. */
  readonly dial: (path: string, method?: string) => Promise<Socket>
  /** Sends a duplicate to the other server. */
  readonly ask: (path: string, method?: string) => Promise<Answer>
  readonly servers: readonly TestServer[]
  readonly guards: readonly GuardedHandle['guard'][]
  /** Resolves when `count` requests wait on the duplicates' server. */
  readonly waiting: (count: number) => Promise<void>
  /** How many keys are held, in the store and by the engines. */
  readonly held: () => Promise<number>
  /** Resolves when nothing is held any more. */
  readonly free: () => Promise<void>
  readonly stop: () => Promise<void>
}

export const lifeStores = ['memory', 'Redis'] as const

export async function startLife(
  kind: (typeof lifeStores)[number],
  options: Omit<GuardOptions, 'store'>,
  onRun: (run: Run) => void = () => {},
): Promise<Life> {
  const prefix = `life-${randomUUID()}`
  const stores: Store[] =
    kind === 'memory' ? [memoryStore()] : [redisStore(redisUrl(), { prefix }), redisStore(redisUrl(), { prefix })]
  const runs: Run[] = []
  let now = 0
  let most = 0
  const guards: GuardedHandle['guard'][] = []
  const servers: TestServer[] = []
  for (const store of stores) {
    const { guard, handle } = guardHandle({ ...options, store }, (req, res, lock) => {
      most = Math.max(most, ++now)
      const { end } = res as unknown as { end: (...args: unknown[]) => unknown }
      // The handler is done when it ends its response, whether a client is still there or not.
      let isDone = false
      Object.defineProperty(res, 'end', {
        configurable: true,
        writable: true,
        value: (...args: unknown[]) => {
          if (!isDone) now--
          isDone = true
          return Reflect.apply(end, res, args)
        },
      })
      const run = { req, res, lock }
      runs.push(run)
      onRun(run)
    })
    guards.push(guard)
    servers.push(await serve(handle))
  }
  const [first, other = first] = servers
  const [firstGuard, otherGuard = firstGuard] = guards
  if (first === undefined || other === undefined || otherGuard === undefined) throw new Error('nothing was started')
  const engines = (): LockEngine[] => guards.map(({ engine }) => engine)
  const held = async (): Promise<number> => {
    let count = engines().reduce((sum, engine) => sum + engine.keys, 0)
    for await (const { state } of (stores[0] as Store).list()) if (state === 'held') count++
    return count
  }
  return {
    runs,
    most: () => most,
    dial: (path, method = 'GET') => first.dial(`${method} ${path} HTTP/1.1\r\nHost: h\r\n\r\n`),
    ask: (path, method = 'GET') => other.ask(path, { method, headers: { host: 'h' } }),
    servers,
    guards,
    waiting: count => until(() => otherGuard.engine.waiters === count, `${count} wait`),
    held,
    free: async () => {
      const deadline = performance.now() + 5_000
      while ((await held()) > 0) {
        if (performance.now() > deadline) throw new Error('something is still held after 5 s')
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    },
    stop: async () => {
      for (const server of servers) await server.stop()
      for (const guard of guards) await guard.close()
      for (const store of stores) await store.close()
    },
  }
}
