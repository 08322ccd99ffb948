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
  if (wishes.store !== undefined && (maxWaiters ?? maxWaitersPerKey) === undefined) return share(wishes.store)
  if (!wishes.store && cluster.isWorker) warn('DSPINLOCK_W_MEMORY_CLUSTER')
  const store = wishes.store ?? memoryStore()
  const engine = new LockEngine({ store, maxWaiters, maxWaitersPerKey })
  // A store that was given stays open.
  return { engine, close: () => engine.close().then(() => (wishes.store ? undefined : store.close())) }
}

function share(store: Store): EngineLease {
  const known = byStore.get(store)
  const shared = known && !known.engine.closed ? known : { engine: new LockEngine({ store }), users: 0 }
  byStore.set(store, shared)
  shared.users++
  let closing: Promise<void> | undefined
  return {
    engine: shared.engine,
    close: () => (closing ??= --shared.users === 0 ? shared.engine.close() : Promise.resolve()),
  }
}
