// The middleware changes nothing for the holder: every answer, byte for byte, and everything that a handler can observe.

import { once } from 'node:events'
import { dspinlock, memoryStore, type Store } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import fc from 'fast-check'
import { frameworks, serve, type TestServer } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { play, type Step, script } from '../support/response-script.js'

interface Observed {
  readonly wire: string
  readonly log: readonly string[]
}

for (const { name, express } of frameworks) {
  describe(`fidelity on ${name}`, function () {
    this.timeout(60_000)
    let steps: readonly Step[] = []
    let log: string[] = []
    let played: Promise<void> = Promise.resolve()
    let server: TestServer
    const stores: Store[] = []
    let round = 0

    before(async () => {
      stores.push(memoryStore(), redisStore(redisUrl(), { prefix: `fidelity-${process.pid}-${name.at(-1)}` }))
      const app = express()
      app.disable('x-powered-by')
      const handle: import('express').RequestHandler = (_req, res) => {
        played = play(steps, res, log)
      }
      app.get('/bare', handle)
      app.get('/memory', dspinlock({ store: stores[0] as Store, duplicates: 'replay', ttlMs: 60_000 }), handle)
      app.get('/redis', dspinlock({ store: stores[1] as Store, duplicates: 'replay', ttlMs: 60_000 }), handle)
      app.get('/serialised', dspinlock({ store: stores[0] as Store }), handle)
      server = await serve(app)
    })
    after(async () => {
      await server.stop()
      for (const store of stores) await store.close()
    })

    const observe = async (path: string): Promise<Observed> => {
      log = []
      const socket = await server.dial(
        `GET ${path}?${String(++round)} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`,
      )
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      const timer = setTimeout(() => {
        console.log(path, JSON.stringify(steps))
        socket.destroy()
      }, 1_000)
      await once(socket, 'close')
      clearTimeout(timer)
      await played
      await new Promise(resolve => setImmediate(resolve))
      const wire = Buffer.concat(chunks)
        .toString('latin1')
        .replace(/\r\nDate: [^\r]*/g, '\r\nDate: now')
      return { wire, log }
    }

    it('as a holder: the same bytes, results, errors, events, callbacks and states', async () => {
      await fc.assert(
        fc.asyncProperty(script, async given => {
          steps = given
          const bare = await observe('/bare')
          for (const path of ['/memory', '/redis', '/serialised']) {
            const ours = await observe(path)
            const difference = firstDifference(
              path,
              path === '/redis' ? waiting(bare) : bare,
              path === '/redis' ? waiting(ours) : ours,
            )
            if (difference !== undefined) expect.fail(difference)
          }
        }),
        { numRuns: 300 },
      )
    })
  })
}

/** On Redis the last bytes wait for a round trip, and what tells that they have left comes that much later: put last. */
function waiting({ log, wire }: Observed): Observed {
  const isLate = (line: string): boolean => /^event (finish|close)|called back $/.test(line)
  return { wire, log: [...log.filter(line => !isLate(line)), ...log.filter(isLate)] }
}

/** The first line in which two observations differ, for people. */
function firstDifference(path: string, bare: Observed, ours: Observed): string | undefined {
  const lines = ({ log, wire }: Observed): string[] => [...log, ...wire.split('\r\n')]
  const [without, withUs] = [lines(bare), lines(ours)]
  const at = without.findIndex((line, n) => line !== withUs[n])
  if (at < 0 && without.length === withUs.length) return undefined
  return `${path}\n  without us: ${without.slice(at, at + 2).join('\n              ')}\n  with us:    ${withUs.slice(at, at + 2).join('\n              ')}`
}
