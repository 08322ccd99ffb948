// One engine for each store, however many middlewares use it, so that duplicates which reach different middlewares meet within this process.

import cluster from 'node:cluster'
import { LockEngine, memoryStore, type Store } from '@dspinlock/core'
import { logByEnvironment } from '@dspinlock/core/support'
import { warn } from './messages.js'

export interface EngineLease {
  readonly engine: LockEngine
  /** Closes the engine once no middleware uses it any more, but never an engine that the user made. */
  close(): Promise<void>
}

interface Shared {
  readonly engine: LockEngine
  users: number
}

const byStore = new WeakMap<Store, Shared>()

export interface EngineWishes {
  readonly engine: LockEngine | undefined
  readonly store: Store | undefined
  readonly maxWaiters: number | undefined
  readonly maxWaitersPerKey: number | undefined
}

export function leaseEngine(wishes: EngineWishes): EngineLease {
  logByEnvironment()
  if (wishes.engine !== undefined) return { engine: wishes.engine, close: async () => {} }
  const { maxWaiters, maxWaitersPerKey } = wishes
  const limits = { maxWaiters, maxWaitersPerKey }
  if (wishes.store === undefined) {
    if (cluster.isWorker) warn('DSPINLOCK_W_MEMORY_CLUSTER')
    const store = memoryStore()
    const engine = new LockEngine({ store, ...limits })
    return { engine, close: () => engine.close().then(() => store.close()) }
  }
  if ((maxWaiters ?? maxWaitersPerKey) !== undefined) {
    const engine = new LockEngine({ store: wishes.store, ...limits })
    return { engine, close: () => engine.close() }
  }
  return share(wishes.store)
}

function share(store: Store): EngineLease {
  let shared = byStore.get(store)
  if (shared === undefined || shared.engine.closed) {
    shared = { engine: new LockEngine({ store }), users: 0 }
    byStore.set(store, shared)
  }
  const mine = shared
  mine.users++
  let closing: Promise<void> | undefined
  return {
    engine: mine.engine,
    close: () => (closing ??= --mine.users === 0 ? mine.engine.close() : Promise.resolve()),
  }
}
