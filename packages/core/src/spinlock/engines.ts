// Finds the engine for a lock: there is one for each store, each client and each set of parameters, shared by all locks.

import { type CloseOptions, LockEngine } from '../engine.js'
import { StoreNotInitialisedError, spinlockMemoryHint, storeProblems } from '../errors.js'
import { logByEnvironment } from '../log-environment.js'
import { memoryStore } from '../memory-store.js'
import type { Store } from '../store.js'
import { warnOnce } from '../warnings.js'
import { hashValue } from './hash.js'
import type { RedisSettings } from './redis-parameters.js'

/** Gives a lock its engine, when it first needs one. Rejects with a StoreNotInitialisedError. */
export type EngineSource = (key: string) => LockEngine | Promise<LockEngine>

/** What core uses of @dspinlock/redis, which depends on core and is imported only when a lock asks for Redis. */
interface RedisPackage {
  redisStore(client: object): Store
  parameterStore(settings: RedisSettings): Store
}

interface Made {
  readonly engine: Promise<LockEngine> | LockEngine
  /** Removes the listener from the client that the engine was made for. */
  readonly unlisten?: () => void
}

const byStore = new WeakMap<Store, LockEngine>()
/** Engines that were made here and stay open until `closeSpinlocks`: by client, by parameters, and the one in memory. */
const made = new Map<object | string, Made>()
/** Engines that are being closed: a call that comes meanwhile waits for their holders, too. */
const closing = new Set<Promise<void>>()

export function chooseEngine(connection: {
  readonly store: Store | undefined
  readonly redis: object | undefined
  readonly redisParams: RedisSettings | undefined
}): EngineSource {
  const { store, redis, redisParams } = connection
  logByEnvironment()
  if (store !== undefined) {
    // Made at once, so that a wrong store throws where the lock is made.
    engineOn(store)
    return key => {
      if (store.closed) throw new StoreNotInitialisedError(key, storeProblems.closed)
      return engineOn(store)
    }
  }
  if (redis !== undefined) return key => redisEngine(redis, key, redisPackage => redisPackage.redisStore(redis))
  if (redisParams !== undefined) {
    const id = identify(redisParams)
    return key => redisEngine(id, key, redisPackage => redisPackage.parameterStore(redisParams))
  }
  return memoryEngine
}

/**
 * Closes the engines that locks without a `store` of their own share: refuses their waiters, waits for their holders, and
 * closes the connections that were made for them. Clients that were given stay open. Later locks start anew.
 */
export async function closeSpinlocks(options?: CloseOptions): Promise<void> {
  for (const one of made.values()) {
    const closed = close(one, options)
    const forget = (): void => void closing.delete(closed)
    closing.add(closed)
    closed.then(forget, forget)
  }
  made.clear()
  await Promise.all(closing)
}

async function close({ engine, unlisten }: Made, options: CloseOptions | undefined): Promise<void> {
  unlisten?.()
  const closable = await Promise.resolve(engine).catch(() => undefined)
  await closable?.close(options)
  await closable?.store.close()
}

function engineOn(store: Store): LockEngine {
  let engine = byStore.get(store)
  if (engine === undefined || engine.closed || store.closed) {
    engine = new LockEngine({ store })
    byStore.set(store, engine)
  }
  return engine
}

function memoryEngine(): LockEngine {
  let engine = made.get('memory')?.engine as LockEngine | undefined
  if (engine === undefined) {
    warnOnce('DSPINLOCK_W_SPINLOCK_MEMORY', spinlockMemoryHint)
    engine = new LockEngine({ store: memoryStore() })
    made.set('memory', { engine })
  }
  return engine
}

function redisEngine(
  id: object | string,
  key: string,
  makeStore: (redisPackage: RedisPackage) => Store,
): Promise<LockEngine> | LockEngine {
  const known = made.get(id)
  if (known !== undefined) return known.engine
  const engine = makeRedisEngine(key, makeStore)
  const forget = (): void => {
    if (made.get(id)?.engine === engine) made.delete(id)
  }
  const onClientEnd = (): void => {
    forget()
    // Nothing can be renewed or released over a client that has ended, so waiting for holders would keep the process alive in vain.
    void close({ engine }, { timeoutMs: 0 })
  }
  const unlisten = typeof id === 'object' ? onEnd(id, onClientEnd) : () => {}
  made.set(id, { engine, unlisten })
  // Forgotten after a failure, so that a later lock tries again.
  engine.catch(() => {
    forget()
    unlisten()
  })
  return engine
}

async function makeRedisEngine(key: string, makeStore: (redisPackage: RedisPackage) => Store): Promise<LockEngine> {
  const redisPackage = await importRedisPackage(key)
  try {
    return new LockEngine({ store: makeStore(redisPackage) })
  } catch (error) {
    throw new StoreNotInitialisedError(key, storeProblems.notMade, error)
  }
}

async function importRedisPackage(key: string): Promise<RedisPackage> {
  // Typed and written so that neither the compiler nor a bundler looks the package up: it is built after this one, and need not be there.
  const name: string = '@dspinlock/redis'
  let redisPackage: Partial<RedisPackage>
  try {
    redisPackage = (await import(/* webpackIgnore: true */ name)) as Partial<RedisPackage>
  } catch (error) {
    throw new StoreNotInitialisedError(key, storeProblems.noRedisPackage, error)
  }
  if (typeof redisPackage.redisStore !== 'function' || typeof redisPackage.parameterStore !== 'function') {
    throw new StoreNotInitialisedError(key, storeProblems.otherRedisPackage)
  }
  return redisPackage as RedisPackage
}

/** When the owner ends a client, the connection for wakes that was opened beside it is closed, too. Returns a function that removes the listener. */
function onEnd(client: object, listener: () => void): () => void {
  const { once, removeListener } = client as Partial<Record<'once' | 'removeListener', Listen>>
  // A cluster of node-redis has a name of its own for it.
  const event = 'masters' in client ? 'disconnect' : 'end'
  once?.call(client, event, listener)
  return () => removeListener?.call(client, event, listener)
}

type Listen = (event: string, listener: () => void) => unknown

let unhashable = 0
const unhashableIds = new WeakMap<object, number>()

/** Equal for equal parameters; a digest, because a password is among them. TLS options may hold values that have no hash. */
function identify({ tls, ...rest }: RedisSettings): string {
  if (tls === undefined) return hashValue(rest)
  try {
    return hashValue({ ...rest, tls })
  } catch {
    const id = unhashableIds.get(tls) ?? ++unhashable
    unhashableIds.set(tls, id)
    return hashValue({ ...rest, tls: id })
  }
}
