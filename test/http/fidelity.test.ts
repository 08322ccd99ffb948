// The middleware changes nothing for the holder: every answer is the same, byte for byte, and so is everything that a handler can observe.

import { once } from 'node:events'
import { dspinlock, memoryStore, type Store } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import fc from 'fast-check'
import { expectReplay } from '../support/behaviour.js'
import { frameworks, serve, type TestServer } from '../support/http.js'
import { redisUrl } from '../support/redis.js'
import { type Asked, asked, play, type Step, script } from '../support/response-script.js'
import { readResponse, valuesOf, withoutDate } from '../support/wire.js'

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
    // Node 26 finds some wrong arguments only when it writes, after the call that had them, and throws where nobody can catch it.
    const others = process.listeners('uncaughtException')
    const noteUncaught = ({ name, message }: Error): void => void log.push(`uncaught ${name}: ${message}`)

    before(async () => {
      process.removeAllListeners('uncaughtException').on('uncaughtException', noteUncaught)
      stores.push(memoryStore(), redisStore(redisUrl(), { prefix: `fidelity-${process.pid}-${name.at(-1)}` }))
      const app = express()
      app.disable('x-powered-by')
      const handle: import('express').RequestHandler = (_req, res) => {
        played = play(steps, res, log)
      }
      app.all('/bare', handle)
      app.all('/memory', dspinlock({ store: stores[0] as Store, duplicates: 'replay', ttlMs: 60_000 }), handle)
      app.all('/redis', dspinlock({ store: stores[1] as Store, duplicates: 'replay', ttlMs: 60_000 }), handle)
      app.all('/serialised', dspinlock({ store: stores[0] as Store }), handle)
      server = await serve(app)
    })
    after(async () => {
      process.removeListener('uncaughtException', noteUncaught)
      for (const listener of others) process.on('uncaughtException', listener)
      await server.stop()
      for (const store of stores) await store.close()
    })

    const observe = async (path: string, { method, version, body }: Asked): Promise<Observed> => {
      log = []
      const head = [`${method} ${path} HTTP/${version}`, 'Host: h', 'Authorization: Bearer a', 'Connection: close']
      const length = body === '' ? [] : [`Content-Length: ${body.length}`]
      const socket = await server.dial([...head, ...length, '', body].join('\r\n'))
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(socket, 'close')
      await played
      await new Promise(resolve => setImmediate(resolve))
      const wire = Buffer.concat(chunks).toString('latin1')
      return { wire: withoutDate(wire), log }
    }

    it('as a holder: the same bytes, results, errors, events, callbacks and states', async () => {
      await fc.assert(
        fc.asyncProperty(script, asked, async (given, asking) => {
          steps = given
          const bare = await observe('/bare', asking)
          for (const path of ['/memory', '/redis', '/serialised']) {
            const ours = await observe(`${path}?${String(++round)}`, asking)
            const difference = firstDifference(
              path,
              path === '/redis' ? waiting(bare, given) : bare,
              path === '/redis' ? waiting(ours, given) : ours,
            )
            if (difference !== undefined) expect.fail(difference)
          }
        }),
        { numRuns: 300 },
      )
    })

    it('as a follower: the same status, headers and body as the holder’s client', async () => {
      let replays = 0
      await fc.assert(
        fc.asyncProperty(script, asked, async (given, asking) => {
          steps = [...given.filter(isSound), { op: 'end', args: [], callback: false }]
          const path = `/memory?replayed${String(++round)}`
          const first = readResponse((await observe(path, asking)).wire)
          const second = readResponse((await observe(path, asking)).wire)
          if (valuesOf(second.headers, 'cache-status').length === 0) return
          replays++
          expectReplay(second, first)
        }),
        { numRuns: 300 },
      )
      expect(replays, 'how many were replayed').to.be.above(30)
    })
  })
}

/**
 * On Redis the last bytes wait for a round trip, and events that show that they have left come that much later, so these are put last. A
 * handler that uses an ended response in a later turn finds it in another state then, so that is left out. If the body has a declared
 * length, its last byte waits as well, which `writableLength` shows.
 */
function waiting({ log, wire }: Observed, steps: readonly Step[]): Observed {
  const ended = steps.findIndex(({ op }) => op === 'end')
  const pause = steps.findIndex(({ op }, at) => at > ended && (op === 'turn' || op === 'tick'))
  const isLeftOut = (line: string): boolean =>
    pause >= 0 && (Number(/^\d+/.exec(line)?.[0] ?? -1) > pause || line.startsWith('event error'))
  const isLate = (line: string): boolean => /^event (finish|close)|called back $/.test(line)
  const kept = log.filter(line => !isLeftOut(line)).map(line => line.replace(/ length=\d+/, ''))
  return { wire, log: [...kept.filter(line => !isLate(line)), ...kept.filter(isLate).sort((a, b) => (a < b ? -1 : 1))] }
}

/** The first line in which two observations differ, for people. */
function firstDifference(path: string, bare: Observed, ours: Observed): string | undefined {
  const lines = ({ log, wire }: Observed): string[] => [...log, ...wire.split('\r\n')]
  const [without, withUs] = [lines(bare), lines(ours)]
  const at = without.findIndex((line, n) => line !== withUs[n])
  if (at < 0 && without.length === withUs.length) return undefined
  return `${path}\n  without us: ${without.slice(at, at + 2).join('\n              ')}\n  with us:    ${withUs.slice(at, at + 2).join('\n              ')}`
}

/**
 * Wrong encodings make bytes that no client can read. An `end` that Node refuses because of its length leaves the socket corked for
 * good, so that its client gets nothing of an answer that was complete before.
 */
function isSound(step: Step): boolean {
  return step.op !== 'strict' && !/nope|base64|:(99|1000)\b|\[(99|1000)\b/.test(JSON.stringify(step))
}
