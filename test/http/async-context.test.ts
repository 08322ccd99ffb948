// The handler runs in the async context of the middleware's caller, even after a body was read and a turn was waited for.

import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { memoryStore, type Store } from '@dspinlock/core'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { openTopic, SAME } from '../support/fidelity-table.js'
import { serve, until } from '../support/http.js'
import { guardHandle } from '../support/plain.js'
import { redisUrl } from '../support/redis.js'

describe('the async context', () => {
  const topic = openTopic('Async context', 'async-context.test.ts')
  const stores: readonly (readonly [string, () => Store])[] = [
    ['memory', () => memoryStore()],
    ['Redis', () => redisStore(redisUrl(), { prefix: `context-${randomUUID()}` })],
  ]

  for (const [name, makeStore] of stores) {
    it(`on ${name}: each request keeps its own, through body, queue and end`, async () => {
      const local = new AsyncLocalStorage<string>()
      const store = makeStore()
      const seen: string[] = []
      const waiting: (() => void)[] = []
      const { guard, handle } = guardHandle({ store }, (req, res) => {
        const own = String(req.headers['x-own'])
        const note = (when: string): void => void seen.push(`${own} ${when} in ${local.getStore()}`)
        note('runs')
        req.on('end', () => note('body'))
        req.resume()
        res.once('finish', () => note('finished'))
        waiting.push(() => res.end(own, () => note('called back')))
      })
      const server = await serve((req: IncomingMessage, res: ServerResponse) => {
        local.run(`context ${String(req.headers['x-own'])}`, () => handle(req, res))
      })
      const ask = (own: string) =>
        server.ask('/', { method: 'POST', headers: { host: 'h', 'x-own': own }, body: 'body' })
      const asking = [ask('a')]
      await until(() => waiting.length === 1, 'the first runs')
      asking.push(ask('b'))
      await until(() => guard.engine.waiters === 1, 'the second waits')
      asking.push(ask('c'))
      await until(() => guard.engine.waiters === 2, 'the third waits')
      for (let n = 1; n <= 3; n++) {
        await until(() => waiting.length === n && seen.filter(line => line.includes('body')).length === n, 'it runs')
        // Callbacks are made in the handler's own context at this point.
        local.run(`context ${'abc'[n - 1]}`, () => waiting[n - 1]?.())
        await asking[n - 1]
      }
      await until(() => seen.length === 12, 'all is noted')
      for (const line of seen) expect(line).to.match(/^(\w) .* in context \1$/)
      await server.stop()
      await store.close()
      topic.row(
        '`AsyncLocalStorage` around dspinlock: the handler after body and queue, `end` of the request, `finish`',
        SAME,
        'its own',
      )
    })
  }
})
