// The lock libraries that a user might choose instead, with their default settings.

import { Mutex } from 'redis-semaphore'
import { createLock, IoredisAdapter } from 'redlock-universal'
import Redlock4 from 'redlock4'
import Redlock5 from 'redlock5'
import { LEASE_MS, type LockLibrary } from './library.js'

export const redlock4: LockLibrary = {
  name: 'redlock 4',
  package: 'redlock4',
  async open(client) {
    const redlock = new Redlock4([client])
    return {
      async acquire(key) {
        const lock = await redlock.lock(key, LEASE_MS)
        return () => lock.unlock()
      },
    }
  },
}

export const redlock5: LockLibrary = {
  name: 'redlock 5',
  package: 'redlock5',
  async open(client) {
    const redlock = new Redlock5([client as never])
    return {
      async acquire(key) {
        const lock = await redlock.acquire([key], LEASE_MS)
        return () => lock.release()
      },
    }
  },
}

export const redisSemaphore: LockLibrary = {
  name: 'redis-semaphore',
  package: 'redis-semaphore',
  async open(client) {
    return {
      async acquire(key) {
        const mutex = new Mutex(client, key)
        await mutex.acquire()
        return () => mutex.release()
      },
    }
  },
}

export const redlockUniversal: LockLibrary = {
  name: 'redlock-universal',
  package: 'redlock-universal',
  async open(client) {
    const adapter = new IoredisAdapter(client as never)
    return {
      async acquire(key) {
        const lock = createLock({ adapter, key, ttl: LEASE_MS })
        const handle = await lock.acquire()
        return () => lock.release(handle)
      },
    }
  },
}
