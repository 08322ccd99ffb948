// One worker process: callers that enter a few hot keys over and over, and write down the results.

import { setTimeout as delay } from 'node:timers/promises'
import { channels, type EnterOptions, type Entry, type Hold, LockEngine, type Store } from '@dspinlock/core'
import type { ClientName, Topology } from '../../support/redis-clients.js'
import { HistoryWriter, now } from './history.js'
import { randomFrom } from './random.js'
import { Register } from './register.js'
import { openStore } from './stores.js'
import { breakStore, type Defect } from './teeth.js'
import { watchStore } from './watched-store.js'
import { chooseWork } from './works.js'

export interface WorkerSettings {
  readonly name: string
  readonly historyPath: string
  readonly topology: Topology
  /** The client; `default` is the one that the store makes for an address. */
  readonly client: ClientName | 'default'
  readonly registerUrl: string
  readonly seed: number
  readonly callers: number
  readonly leaseMs: number
  /** The share of holds that last longer than a lease. */
  readonly longShare: number
  readonly minReplicas: number
  readonly defect: Defect | ''
}

const WAIT_MS = 3_000
/** How long, beyond `waitMs`, an answer may take: the engine's first claim, and the command's own timeout. */
const ANSWER_WITHIN_MS = WAIT_MS + 5_000 + 2_000

const settings = JSON.parse(process.env['RIG_WORKER'] ?? '') as WorkerSettings
const history = new HistoryWriter(settings.historyPath)
const random = randomFrom(settings.seed)
const { leaseMs } = settings

let ops = 0
let stopping = false

/** Mostly short; sometimes so long that the lease has to be renewed. */
function chooseWorkMs(): number {
  return random() < settings.longShare ? leaseMs * (1 + random()) : random() * 8
}

async function work(engine: LockEngine, register: Register): Promise<void> {
  const { key, options } = chooseWork(random)
  const op = ++ops
  history.write({ event: 'ask', op, key, endBy: now() + ANSWER_WITHIN_MS })
  let entry: Entry
  try {
    entry = await engine.enter(key, { ...options, leaseMs, waitMs: WAIT_MS })
  } catch (error) {
    history.write({ event: 'answer', op, outcome: `error ${(error as { code?: string }).code ?? String(error)}` })
    // Not at once again, as a client that was told 503 would do.
    await delay(50)
    return
  }
  if (entry.role === 'refused') {
    history.write({ event: 'answer', op, outcome: `refused ${entry.reason}` })
    await delay(20)
    return
  }
  history.write({ event: 'answer', op, outcome: entry.role })
  if (entry.role === 'follower') {
    history.write({ event: 'follow', key, record: Buffer.from(entry.record).toString() })
    await delay(10 * random())
    return
  }
  if (entry.role === 'holder') await hold(entry.hold, options, register)
}

async function hold(hold: Hold, options: EnterOptions, register: Register): Promise<void> {
  const { key, fence } = hold
  const { signal } = hold
  signal.addEventListener('abort', () => history.write({ event: 'lost', key, fence }))
  // The time is read first, so that a stall between the two does not look as if the holder had not known.
  let at = now()
  history.write({ event: 'enter', key, fence, aborted: hold.signal.aborted }, at)
  const workMs = chooseWorkMs()
  for (const ms of [workMs / 2, workMs / 2]) {
    const sentAt = now()
    history.write({ event: 'write', key, fence, sentAt, accepted: await register.write(key, fence) })
    await delay(ms)
  }
  at = now()
  history.write({ event: 'leave', key, fence, aborted: hold.signal.aborted }, at)
  const sentAt = now()
  const leavesRecord = options.duplicates !== undefined && random() < 0.9
  if (!leavesRecord) {
    const answer = await settleQuietly(() => hold.release())
    history.write({ event: 'released', key, fence, answer })
    return
  }
  const record = `${fence} ${settings.name} ${random()}`
  history.write({ event: 'settle', key, fence, record })
  const answer = await settleQuietly(() => hold.settle(Buffer.from(record)))
  history.write({ event: 'settled', key, fence, sentAt, visibleMs: options.ttlMs ?? 0, answer })
}

async function settleQuietly(end: () => boolean | Promise<boolean>): Promise<boolean | 'error'> {
  try {
    return await end()
  } catch {
    return 'error'
  }
}

async function call(engine: LockEngine, register: Register): Promise<void> {
  while (!stopping) await work(engine, register)
}

async function main(): Promise<void> {
  history.write({ event: 'start', pid: process.pid })
  const crash = (error: unknown): void => {
    history.write({ event: 'crash', error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
  const opened = await openStore(settings)
  const plain = opened.store
  let store: Store = plain
  let mend = (): void => {}
  if (settings.defect !== '') {
    if (settings.topology.kind !== 'single') throw new TypeError('defects are for a single server')
    const broken = breakStore(store, settings.defect, settings.topology.url)
    store = broken.store
    mend = broken.close
  }
  const register = new Register(settings.registerUrl)
  const engine = new LockEngine({ store: watchStore(store, history) })
  const callers = Promise.all(Array.from({ length: settings.callers }, () => call(engine, register)))
  if (process.env['RIG_TROUBLE'] !== undefined) {
    channels.trouble.subscribe(trouble => console.error(settings.name, trouble))
  }
  process.once('message', () => {
    stopping = true
  })
  // Without a rig, nobody is there to stop it.
  process.once('disconnect', () => process.exit())
  process.send?.('ready')
  await callers
  await engine.close({ timeoutMs: 5_000 })
  await plain.close()
  await opened.close()
  register.close()
  mend()
  history.write({ event: 'bye' })
  history.close()
  process.removeAllListeners('disconnect')
  process.removeAllListeners('message')
  process.disconnect()
  // A client of node-redis that a sentinel client destroys while it connects keeps its socket, and that keeps the process alive.
  if (settings.topology.kind === 'sentinel' && settings.client.startsWith('node-redis')) process.exit()
}

await main()
