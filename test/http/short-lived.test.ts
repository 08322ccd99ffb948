// Objects that a request leaves die young, because collecting old ones costs more than handling the request.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'chai'

describe('short-lived: what a request leaves', () => {
  for (const store of ['sync', 'async'] as const) {
    it(`is gone with the next collection of young objects, with a store that answers ${store === 'sync' ? 'at once' : 'later'}`, async () => {
      const worker = fork(new URL('./short-lived-worker.js', import.meta.url), [store], { execArgv: ['--expose-gc'] })
      const ended = once(worker, 'exit').then(([code]) => {
        throw new Error(`the worker ended with ${String(code)} before it told`)
      })
      const [bytes] = (await Promise.race([once(worker, 'message'), ended])) as [number]
      await ended.catch(() => {})
      expect(bytes, 'bytes of each request that grew old').to.be.below(2_000)
    })
  }
})
