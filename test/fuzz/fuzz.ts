// Sends the same conversations to the application without dspinlock and with it, and reports where they differ in more than they may.

import { once } from 'node:events'
import { connect } from 'node:net'
import { memoryStore, type Store } from '@dspinlock/express'
import { redisStore } from '@dspinlock/redis'
import { type Conversation, makeConversation } from './conversations.js'
import { randomOf } from './random.js'
import { type FuzzServer, startServer } from './servers.js'
import { isSame, splitResponses } from './transcript.js'

export interface FuzzOptions {
  readonly seed: number
  /** Ends after this many conversations. */
  readonly requests: number
  /** Ends after this many seconds at the latest. */
  readonly seconds: number
  readonly redisUrl: string
}

export interface FuzzResult {
  readonly conversations: number
  /** Responses of the guarded servers that were compared, and how many of them were replays. */
  readonly compared: number
  readonly replays: number
  readonly refusals: number
  readonly breaches: readonly string[]
}

const HANG_MS = 4_000
const AT_ONCE = 8

export async function fuzz({ seed, requests, seconds, redisUrl }: FuzzOptions): Promise<FuzzResult> {
  const stores: Store[] = [
    memoryStore(),
    memoryStore(),
    redisStore(redisUrl, { prefix: `fuzz-${process.pid}-${seed}` }),
  ]
  const [replaying, serialising, shared] = stores as [Store, Store, Store]
  const bare = await startServer('bare', undefined)
  const guarded = [
    await startServer('replay on memory', { store: replaying, duplicates: 'replay', ttlMs: 60_000 }),
    await startServer('serialise on memory', { store: serialising }),
    await startServer('replay on Redis', { store: shared, duplicates: 'replay', ttlMs: 60_000 }),
  ]
  const breaches: string[] = []
  const counts = { compared: 0, replays: 0, refusals: 0 }
  const deadline = performance.now() + seconds * 1_000
  const crash = (error: Error): void => void breaches.push(`uncaught: ${error.stack ?? error.message}`)
  process.on('uncaughtExceptionMonitor', crash)
  let next = 0
  const work = async (): Promise<void> => {
    while (next < requests && performance.now() < deadline && breaches.length < 5) {
      const at = next++
      const conversation = makeConversation(randomOf(seed * 1_000_003 + at))
      for (const difference of await compare(conversation, bare, guarded, counts)) {
        const repeat = `npm run fuzz -- --seed ${seed} --requests ${at + 1}`
        breaches.push(
          `conversation ${at}: ${difference}\n  sent: ${JSON.stringify(conversation.pieces)}\n  again: ${repeat}`,
        )
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  breaches.push(...(await findLeftovers(guarded, stores)))
  process.removeListener('uncaughtExceptionMonitor', crash)
  for (const server of [bare, ...guarded]) await server.stop()
  for (const store of stores) await store.close()
  return { conversations: next, ...counts, breaches }
}

async function compare(
  conversation: Conversation,
  bare: FuzzServer,
  guarded: readonly FuzzServer[],
  counts: { compared: number; replays: number; refusals: number },
): Promise<string[]> {
  const differences: string[] = []
  const bareWire = await converse(bare.port, conversation)
  const expected = splitResponses(bareWire)
  // The second time, whatever can be replayed is replayed.
  for (const server of [...guarded, ...guarded]) {
    const wire = await converse(server.port, conversation)
    if (wire === undefined) {
      // Node itself waits for the rest of some conversations.
      if (bareWire === undefined) break
      differences.push(`${server.name}: no end after ${HANG_MS} ms`)
      continue
    }
    if (conversation.leaves) continue
    const answers = splitResponses(wire)
    // This is Node's answer to a request that is never complete; which of two busy servers sends it sooner means nothing.
    if ([...expected, ...answers].some(({ line }) => line.includes(' 408 '))) continue
    counts.compared += answers.length
    for (const { headers } of answers) {
      if (headers.has('cache-status')) counts.replays++
      if (headers.get('content-type') === 'application/problem+json') counts.refusals++
    }
    if (!isSame(expected, answers, conversation.isOrderly)) {
      differences.push(
        `${server.name}\n  without: ${JSON.stringify(expected.map(show))}\n  with:    ${JSON.stringify(answers.map(show))}`,
      )
    }
  }
  return differences
}

const show = ({
  line,
  headers,
  body,
}: {
  line: string
  headers: ReadonlyMap<string, string>
  body: string
}): unknown => [line, [...headers], body]

/** Everything that the server sent until the connection was closed; undefined if that did not happen. */
async function converse(port: number, { pieces, leaves }: Conversation): Promise<string | undefined> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let received = ''
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  // The server resets connections with requests that it refuses.
  socket.on('error', () => {})
  const closed = new Promise<boolean>(resolve => {
    const timer = setTimeout(() => resolve(false), HANG_MS)
    socket.once('close', () => {
      clearTimeout(timer)
      resolve(true)
    })
  })
  await Promise.race([once(socket, 'connect').catch(() => {}), closed])
  for (const piece of pieces) {
    if (!socket.destroyed) socket.write(piece, 'latin1')
    await new Promise(resolve => setImmediate(resolve))
  }
  if (leaves) socket.resetAndDestroy()
  else socket.end()
  const isClosed = await closed
  socket.destroy()
  return isClosed ? received : undefined
}

/** Whatever was sent, nothing stays locked and nobody waits. */
async function findLeftovers(guarded: readonly FuzzServer[], stores: readonly Store[]): Promise<string[]> {
  const engines = new Set(guarded.flatMap(({ guards }) => guards.map(({ engine }) => engine)))
  const deadline = performance.now() + 5_000
  const isBusy = (): boolean => [...engines].some(({ keys, waiters }) => keys > 0 || waiters > 0)
  while (isBusy() && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 10))
  const left: string[] = []
  for (const { keys, waiters } of engines)
    if (keys + waiters > 0) left.push(`an engine still has ${keys} keys and ${waiters} waiters`)
  for (const store of stores) {
    for await (const { state, waiters } of store.list()) {
      if (state === 'held' || waiters > 0) left.push(`${store.name}: a key is ${state} and has ${waiters} waiters`)
    }
  }
  return left
}
