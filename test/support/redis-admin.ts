// What tests do to a server besides using the code under test: send one command on a separate connection, and wait for a condition.

import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'

const PATIENCE_MS = 20_000

/** Sends a command to the server on this loopback port. Rejects if it cannot be reached. */
export async function askServer(port: number, name: string, ...args: (string | number)[]): Promise<unknown> {
  const redis = new Redis({ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: () => null })
  redis.on('error', () => {})
  try {
    await redis.connect()
    return await redis.call(name, ...args)
  } finally {
    redis.disconnect()
  }
}

/** Waits until `isSo` is true; its failures count as false, until the patience ends. */
export async function untilSo(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    let failed: unknown
    try {
      if (await isSo()) return
    } catch (error) {
      failed = error
    }
    if (performance.now() > deadline) throw new Error(`waited in vain until ${what}`, { cause: failed })
    await delay(20)
  }
}
