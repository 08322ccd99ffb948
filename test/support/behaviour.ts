// Tests one way to answer, seen from outside and from the handler: without dspinlock, with it as holder on each store, and as a replay.

import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { dspinlock, memoryStore, type Store } from '@dspinlock/express'
import type { GuardOptions } from '@dspinlock/http'
import { redisStore } from '@dspinlock/redis'
import { expect } from 'chai'
import { endsCorkedTooEarly } from './corked-end.js'
import { SAME, type Topic } from './fidelity-table.js'
import { frameworks, Gate, serve, type TestServer } from './http.js'
import { guardHandle, type Handle } from './plain.js'
import { redisUrl } from './redis.js'
import { lastingHeaders, readResponse, valuesOf, type WireResponse, withoutDate } from './wire.js'

/** What a handler gets: the response, and functions to log what it sees. */
export interface Answering {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Logs a line that has to be the same with and without dspinlock. Lines that begin with `late` may come later on Redis. */
  readonly note: (line: string) => void
  /** Logs the outcome of a call: what it returns, or the code of the error that it throws. */
  readonly attempt: (label: string, call: () => unknown) => void
  /** Resolves once the client has received `text`. */
  readonly received: (text: string) => Promise<void>
}

export interface Behaviour {
  /** The title of the row in docs/http.md. */
  readonly what: string
  readonly answer: (answering: Answering) => unknown
  /** The request line without path and version, the header lines, and the body. Default: a GET. */
  readonly method?: string
  readonly version?: '1.0' | '1.1'
  readonly headers?: readonly string[]
  readonly body?: string
  /** What the client does once it is connected: it may read slowly, for example. Default: it reads. */
  readonly client?: (socket: Socket) => void
  /** What duplicates get. Default: a replay. */
  readonly duplicate?: 'replayed' | 'runs' | 'refused'
  /** The response is cut short without an end, so that it is only given up after `settleTimeoutMs`, which is short then. */
  readonly isCut?: boolean
  /** The path after its first segment, if that matters. */
  readonly path?: string
  /** A replay passes through middleware mounted outside, which frames it in its own way. */
  readonly isFramedOutside?: boolean
  /** What is different in a replay, for people; the test itself names the header lines. */
  readonly except?: { readonly text: string; readonly headers: readonly string[] }
}

export interface Surface {
  readonly name: string
  /** Each path, with the options of its guard. */
  start(handle: Handle, routes: Readonly<Record<string, GuardOptions | undefined>>): Promise<TestServer>
}

export const nodeHttp: Surface = {
  name: 'node:http',
  start: (handle, routes) => {
    const byPath = new Map(
      Object.entries(routes).map(([path, options]) => [
        path,
        options === undefined ? handle : guardHandle(options, handle).handle,
      ]),
    )
    return serve((req: IncomingMessage, res: ServerResponse) => {
      byPath.get(req.url?.split('?')[0] ?? '')?.(req, res, undefined)
    })
  },
}

export const expressSurfaces: readonly Surface[] = frameworks.map(({ name, express }) => ({
  name,
  start: (handle, routes) => {
    const app = express()
    app.disable('x-powered-by')
    for (const [path, options] of Object.entries(routes)) {
      const guards = options === undefined ? [] : [dspinlock(options as never)]
      app.all(path, ...guards, (req, res) => handle(req, res, req.dspinlock))
    }
    return serve(app)
  },
}))

interface Observed {
  readonly wire: string
  readonly log: readonly string[]
  readonly runs: number
}

/** `settleTimeoutMs` of what is cut short. */
const CUT_MS = 50

/** Makes a test for each behaviour on each surface, and a row for each in the table. */
export function describeBehaviours(topic: Topic, surfaces: readonly Surface[], behaviours: readonly Behaviour[]): void {
  for (const surface of surfaces) {
    describe(`on ${surface.name}`, () => {
      let current: Behaviour | undefined
      let runs = 0
      let log: string[] = []
      let answered: Promise<unknown> = Promise.resolve()
      let received = ''
      let arrived = new Gate()
      let server: TestServer
      const stores: Store[] = []
      let round = 0

      before(async () => {
        const [memory, redis] = [memoryStore(), redisStore(redisUrl(), { prefix: `behaviour-${randomUUID()}` })]
        stores.push(memory, redis)
        const handle: Handle = (req, res) => {
          runs++
          const closed = new Promise(resolve => res.once('close', resolve))
          const answering = composeAnswering(req, res, log, async text => {
            while (!received.includes(text)) await arrived.opened
          })
          answered = Promise.all([closed, current?.answer(answering)])
          // Read when the client has seen the end.
          answered.catch(() => {})
        }
        server = await surface.start(handle, {
          '/bare': undefined,
          '/memory': { store: memory, duplicates: 'replay', ttlMs: 60_000 },
          '/redis': { store: redis, duplicates: 'replay', ttlMs: 60_000 },
          '/serialised': { store: memory },
          '/memory/cut': { store: memory, duplicates: 'replay', ttlMs: 60_000, settleTimeoutMs: CUT_MS },
          '/redis/cut': { store: redis, duplicates: 'replay', ttlMs: 60_000, settleTimeoutMs: CUT_MS },
          '/serialised/cut': { store: memory, settleTimeoutMs: CUT_MS },
        })
      })
      after(async () => {
        await server.stop()
        for (const store of stores) await store.close()
      })

      const observe = async (path: string, behaviour: Behaviour): Promise<Observed> => {
        const { method = 'GET', version = '1.1', headers = [], body = '', client } = behaviour
        current = behaviour
        runs = 0
        log = []
        received = ''
        answered = Promise.resolve()
        // Sent by somebody in particular, because some answers to nobody in particular are not replayed.
        const fixed = ['Host: h', 'Connection: close', 'Authorization: Bearer a']
        const lines = [`${method} ${path} HTTP/${version}`, ...fixed, ...headers, '', body]
        const socket = await server.dial('')
        client?.(socket)
        socket.on('data', (chunk: Buffer) => {
          received += chunk.toString('latin1')
          arrived.open()
          arrived = new Gate()
        })
        const closed = new Promise(resolve => socket.once('close', resolve))
        // A server that destroys a response may reset the connection.
        socket.on('error', () => {})
        socket.write(lines.join('\r\n'))
        await closed
        await answered
        await new Promise(resolve => setImmediate(resolve))
        return { wire: withoutDate(received), log: [...log], runs }
      }

      for (const behaviour of behaviours) {
        it(behaviour.what, async () => {
          const { duplicate = 'replayed', except } = behaviour
          const bare = await observe('/bare', behaviour)
          expect(bare.runs).to.equal(1)
          for (const path of ['/memory', '/redis', '/serialised']) {
            const query = `${path}${behaviour.isCut === true ? '/cut' : ''}?${++round}`
            const first = await observe(query, behaviour)
            expect(first.wire, path).to.equal(bare.wire)
            const isLate = path === '/redis'
            expect(isLate ? lateLast(first.log) : first.log, path).to.deep.equal(isLate ? lateLast(bare.log) : bare.log)
            if (path === '/serialised') continue
            const second = await observe(query, behaviour)
            expect(second.runs, `runs of the duplicate on ${path}`).to.equal(duplicate === 'runs' ? 1 : 0)
            if (duplicate === 'runs') expect(second.wire, path).to.equal(bare.wire)
            else if (duplicate === 'refused') expect(readResponse(second.wire).status, path).to.equal(409)
            else if (behaviour.isFramedOutside === true) expectSameMessage(second.wire, first.wire, except?.headers)
            else expectReplay(readResponse(second.wire), readResponse(first.wire), except?.headers)
          }
          topic.row(behaviour.what, SAME, rowOf(behaviour))
        })
      }
    })
  }
}

function rowOf({ duplicate = 'replayed', except }: Behaviour): string {
  if (duplicate === 'runs') return 'runs for itself'
  if (duplicate === 'refused') return 'is told that it is done (409)'
  return except === undefined ? 'the same' : `the same, ${except.text}`
}

function expectSameMessage(replay: string, first: string, except: readonly string[] = []): void {
  const messageOf = (wire: string): unknown => {
    const { line, headers, body } = readResponse(wire)
    return { line, headers: lastingHeaders(headers).filter(([name]) => !except.includes(name.toLowerCase())), body }
  }
  expect(messageOf(replay)).to.deep.equal(messageOf(first))
  expect(replay).to.match(/\r\nCache-Status: dspinlock; (hit|collapsed)\r\n/)
}

/** What all replays have in common, besides being what the first client got. */
export function expectReplay(replay: WireResponse, first: WireResponse, except: readonly string[] = []): void {
  const isLasting = ([name]: readonly [string, string]): boolean => !except.includes(name.toLowerCase())
  if (!endsCorkedTooEarly) expect(first.afterEnd, 'after the end').to.equal('')
  expect([replay.line, replay.body, replay.afterEnd]).to.deep.equal([first.line, first.body + first.afterEnd, ''])
  expect(lastingHeaders(replay.headers).filter(isLasting)).to.deep.equal(
    lastingHeaders(first.headers).filter(isLasting),
  )
  const of = (name: string): string[] => valuesOf(replay.headers, name)
  expect(of('transfer-encoding')).to.deep.equal([])
  expect(of('trailer')).to.deep.equal([])
  expect(of('set-cookie')).to.deep.equal([])
  expect(of('date')).to.have.length(1)
  expect(of('age')).to.match(/^\d+$/)
  expect(of('cache-status').at(-1)).to.match(/^dspinlock; (hit|collapsed)$/)
  if (replay.status !== 204) expect(of('content-length')).to.deep.equal([String(replay.body.length)])
  // The invitation to send the body comes from the server itself.
  expect(replay.informational.filter(line => !line.includes(' 100 '))).to.deep.equal([])
}

/** On Redis, the last bytes wait for a round trip, so whatever shows that they have left comes that much later. */
function lateLast(log: readonly string[]): string[] {
  const isLate = (line: string): boolean => line.startsWith('late ')
  return [...log.filter(line => !isLate(line)), ...log.filter(isLate)]
}

function composeAnswering(
  req: IncomingMessage,
  res: ServerResponse,
  log: string[],
  received: (text: string) => Promise<void>,
): Answering {
  const note = (line: string): void => void log.push(line)
  const state = (): string =>
    `headersSent=${res.headersSent} ended=${res.writableEnded} finished=${res.writableFinished} status=${res.statusCode}`
  for (const event of ['finish', 'close']) res.on(event, () => note(`late event ${event}: ${state()}`))
  for (const event of ['prefinish', 'pipe', 'unpipe']) res.on(event, () => note(`event ${event}`))
  res.on('error', error => note(`event error ${codeOf(error)}`))
  return {
    req,
    res,
    note,
    received,
    attempt: (label, call) => {
      try {
        const result = call()
        note(`${label} returned ${result === res ? 'the response' : String(result)}, ${state()}`)
      } catch (error) {
        note(`${label} threw ${codeOf(error)}, ${state()}`)
      }
    },
  }
}

export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return `no error: ${String(error)}`
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : `${error.name}: ${error.message}`
}
