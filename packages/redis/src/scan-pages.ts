// Walks all names of a prefix page by page, each page within one deadline, and starts again after a failure that passes.

import { setTimeout as delay } from 'node:timers/promises'
import type { StoreClient } from './clients/client.js'
import { isPassing, RETRY_MS } from './failures.js'
import { noAnswer } from './messages.js'

/**
 * A name may come more than once. If `isClosed` returns true, the store was closed, and nothing is tried again.
 * Throws the last error of the client, or an error if there was no answer within `timeoutMs`.
 */
export async function* scanPages(
  client: StoreClient,
  pattern: string,
  timeoutMs: number,
  isClosed: () => boolean,
): AsyncIterableIterator<readonly string[]> {
  const start = (): AsyncIterator<readonly string[]> => client.scan(pattern)[Symbol.asyncIterator]()
  let pages = start()
  let deadline = performance.now() + timeoutMs
  let pauseMs: number = RETRY_MS[0]
  for (;;) {
    try {
      const page = await withinDeadline(pages.next(), deadline, timeoutMs)
      if (page.done === true) return
      yield page.value
      deadline = performance.now() + timeoutMs
      pauseMs = RETRY_MS[0]
    } catch (error) {
      if (isClosed() || !isPassing(error) || performance.now() + pauseMs >= deadline) throw error
      await delay(pauseMs)
      pauseMs = Math.min(pauseMs * 2, RETRY_MS[1])
      pages = start()
    }
  }
}

function withinDeadline<T>(answer: Promise<T>, deadline: number, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    // Not unref'd, unlike the sockets, because it has to keep the process alive while somebody awaits the answer.
    const timer = setTimeout(() => reject(new Error(noAnswer(timeoutMs))), Math.max(0, deadline - performance.now()))
    answer.then(
      value => {
        clearTimeout(timer)
        resolve(value)
      },
      (error: unknown) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
