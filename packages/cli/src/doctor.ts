// Checks whether a Redis can do what dspinlock needs; a check tries the real operation wherever possible.

import { randomUUID } from 'node:crypto'
import { channels, type Entry, LockEngine, type Store, type TroubleEvent } from '@dspinlock/core'
import { readServer, withRemedy } from '@dspinlock/redis/support'
import type { Cluster, Redis } from 'ioredis'
import type { Connection } from './connection.js'
import { missingSlots, SLOTS } from './messages.js'
import { time } from './tables.js'

export interface Check {
  readonly name: string
  /** `fail`: locking does not work, or not safely. `warn`: it works for now. */
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
}

/** A waiter has to be woken by a message within WAKE_MS, well before it would poll by itself. */
const POLL_MS = 5_000
const WAKE_MS = 2_000
const PINGS = 20
const SLOW_MS = 50
/** Half of `commandTimeoutMs`, which is 2 s by default; beyond that, every operation fails. */
const HOPELESS_MS = 1_000
const CLOCK_MS = 5_000
/** Probe keys for each master of a Cluster, at random: all but one of 3 000 masters get one of them. */
const PROBES = 8

export async function examine(connection: Connection): Promise<Check[]> {
  const checks: Check[] = []
  for (const [name, check] of [
    ['server', checkServer],
    ['scripts', checkScripts],
    ['messages', checkMessages],
    ['listing', checkListing],
    ['eviction', checkEviction],
    ['persistence', checkPersistence],
    ['clock', checkClock],
    ['latency', checkLatency],
  ] as const) {
    try {
      checks.push({ name, ...(await check(connection)) })
    } catch (error) {
      checks.push({ name, status: 'fail', detail: messageOf(error) })
    }
  }
  return checks
}

type Finding = Omit<Check, 'name'>

const ok = (detail: string): Finding => ({ status: 'ok', detail })
const warn = (detail: string): Finding => ({ status: 'warn', detail })
const fail = (detail: string): Finding => ({ status: 'fail', detail })

async function checkServer(connection: Connection): Promise<Finding> {
  const { client } = connection
  const { unfit } = await readServer({ send: (_key, [name = '', ...args]) => client.call(String(name), ...args) })
  if (unfit !== undefined) return fail(unfit.message)
  const info = await ask(() => client.info())
  if (info === undefined) return warn('the user may not use INFO, so version and role are not known')
  const name = field(info, 'valkey_version') === undefined ? 'Redis' : 'Valkey'
  const version = field(info, 'valkey_version') ?? field(info, 'redis_version') ?? 'of no known version'
  const role = field(info, 'role') ?? 'unknown'
  if (role === 'slave') return fail(`${name} ${version} is a replica, which takes no writes; connect to its master`)
  const masters = client.isCluster ? 1 : await countMasters(connection, info)
  if (masters > 1) {
    return fail(
      `${name} ${version} is one of ${masters} masters of a Cluster, and keys of the others are neither locked nor listed; name the Cluster by --cluster`,
    )
  }
  const unserved = await countUnserved(connection)
  if (unserved > 0) return fail(missingSlots(unserved))
  return ok(`${name} ${version}, ${modeOf(info) ?? 'standalone'}, ${role}`)
}

/** Counts the slots of a Cluster whose keys cannot be used now; 0 if the user may not ask. */
export async function countUnserved({ client }: Connection): Promise<number> {
  if (!client.isCluster) return 0
  const info = await ask(async () => String(await client.call('CLUSTER', 'INFO')))
  return SLOTS - Number(field(info, 'cluster_slots_ok') ?? SLOTS)
}

/** Valkey has its own name for the field. */
function modeOf(info: string): string | undefined {
  return field(info, 'redis_mode') ?? field(info, 'server_mode')
}

/** Counts the masters that have slots. A Cluster of one master is used by its address, as a single server is. */
async function countMasters({ client }: Connection, info: string): Promise<number> {
  if (modeOf(info) !== 'cluster') return 1
  return Number(field(await ask(async () => String(await client.call('CLUSTER', 'INFO'))), 'cluster_size') ?? 1)
}

/** Tries the scripts on every master, with many keys at once. */
async function checkScripts(connection: Connection): Promise<Finding> {
  const engine = new LockEngine({ store: connection.store })
  const keys = connection.client.isCluster ? mastersOf(connection).length * PROBES : 1
  try {
    const findings = await Promise.all(Array.from({ length: keys }, () => tryScripts(engine)))
    return findings.find(({ status }) => status === 'fail') ?? ok('claim, settle, inspect and forget work')
  } finally {
    await engine.close({ timeoutMs: 0 })
  }
}

/** Claims, settles, reads and forgets a key of our own, which tries EVALSHA, the commands in the scripts, and the key pattern. */
async function tryScripts(engine: LockEngine): Promise<Finding> {
  const key = probeKey()
  const entry = await engine.enter(key, { duplicates: 'replay', ttlMs: 10_000, leaseMs: 10_000 })
  if (entry.role !== 'holder') return fail(`a new key could not be held: ${entry.role}`)
  if (!(await entry.hold.settle(Uint8Array.of(1)))) return fail('a hold was lost at once')
  const state = await engine.inspect(key)
  if (state?.state !== 'settled') return fail(`a record was stored and is not there: ${state?.state ?? 'nothing'}`)
  await engine.forget(key, entry.hold.fence)
  return ok('')
}

/** One engine waits for a key that another holds, and has to be woken. */
async function checkMessages({ store }: Connection): Promise<Finding> {
  const holder = new LockEngine({ store })
  const waiter = new LockEngine({ store, pollMs: POLL_MS })
  const key = probeKey()
  const policy = { duplicates: 'replay', leaseMs: 2 * POLL_MS } as const
  let trouble: unknown
  const listener = (event: unknown): void => {
    const { source, error } = event as TroubleEvent
    if (source === 'redis') trouble = error
  }
  channels.trouble.subscribe(listener)
  try {
    const first = await holder.enter(key, policy)
    if (first.role !== 'holder') return fail(`a new key could not be held: ${first.role}`)
    const second = waiter.enter(key, { ...policy, waitMs: WAKE_MS })
    const waiting = second.catch((error: unknown) => error)
    await isWaitedFor(store, key)
    const settledAt = performance.now()
    await first.hold.settle(Uint8Array.of(1))
    const entry = (await waiting) as Entry | Error
    const tookMs = performance.now() - settledAt
    if (entry instanceof Error) {
      const why = trouble === undefined ? '' : `: ${messageOf(trouble)}`
      return fail(`a waiter was not woken within ${time(WAKE_MS)}${why}; waiters would only poll every second`)
    }
    return ok(`a waiter is woken after ${tookMs.toFixed(1)} ms`)
  } finally {
    channels.trouble.unsubscribe(listener)
    await Promise.all([holder, waiter].map(engine => engine.close({ timeoutMs: 0 })))
  }
}

async function isWaitedFor(store: Store, key: string): Promise<void> {
  const deadline = performance.now() + WAKE_MS
  while (performance.now() < deadline) {
    if (((await store.inspect(key))?.waiters ?? 0) > 0) return
  }
  throw new Error(`a waiter did not join the queue within ${time(WAKE_MS)}`)
}

async function checkListing({ store }: Connection): Promise<Finding> {
  let count = 0
  try {
    for await (const _state of store.list()) count++
  } catch (error) {
    return warn(`locking works without it, but dspinlock ls and watch do not: ${messageOf(error)}`)
  }
  return ok(`${count} live ${count === 1 ? 'key' : 'keys'} under this prefix`)
}

/** Looks at every master of a Cluster, because each has settings of its own. */
async function checkEviction(connection: Connection): Promise<Finding> {
  const findings = await Promise.all(mastersOf(connection).map(examineEviction))
  return findings.find(({ status }) => status === 'warn') ?? findings[0] ?? warn('no master answers')
}

/** Not warned of, because it is a choice: locks that are over in seconds need no disk, and an Idempotency-Key of a day does. */
async function checkPersistence(connection: Connection): Promise<Finding> {
  const infos = await Promise.all(mastersOf(connection).map(master => ask(() => master.info('persistence'))))
  const answers = infos.map(info => field(info, 'aof_enabled'))
  if (answers.length === 0) return warn('no master answers')
  if (answers.includes(undefined)) return warn('the user may not use INFO, so it is not known')
  return ok(
    answers.includes('0')
      ? 'no append-only file: a restart may forget holds and records, and then work that was done may be done again'
      : 'an append-only file: holds and records outlast a restart',
  )
}

async function examineEviction(master: Cluster | Redis): Promise<Finding> {
  const info = await ask(() => master.info('memory'))
  const policy = field(info, 'maxmemory_policy')
  if (info === undefined || policy === undefined) return warn('the user may not use INFO, so the policy is not known')
  const limit = Number(field(info, 'maxmemory') ?? 0)
  if (policy === 'noeviction')
    return ok(limit === 0 ? 'none, and no memory limit' : 'none: a full Redis refuses writes')
  if (limit === 0) return ok(`${policy}, but there is no memory limit`)
  const used = Math.round((Number(field(info, 'used_memory') ?? 0) / limit) * 100)
  return warn(
    `${policy} at maxmemory ${limit} (${used} % used): a full Redis would drop holds, and then two may run; use noeviction, or a Redis for dspinlock alone`,
  )
}

async function checkClock({ client }: Connection): Promise<Finding> {
  const before = Date.now()
  const [seconds = 0, micros = 0] = ((await client.call('TIME')) as unknown[]).map(Number)
  const aheadMs = seconds * 1_000 + micros / 1_000 - (before + Date.now()) / 2
  const detail = `Redis is ${time(Math.abs(aheadMs))} ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine`
  if (Math.abs(aheadMs) < CLOCK_MS) return ok(detail)
  return warn(`${detail}; locks are not affected, because only the clock of Redis counts, but one of the two is wrong`)
}

async function checkLatency({ client }: Connection): Promise<Finding> {
  const times: number[] = []
  for (let n = 0; n < PINGS; n++) {
    const sentAt = performance.now()
    await client.call('PING')
    times.push(performance.now() - sentAt)
  }
  times.sort((a, b) => a - b)
  const median = times[PINGS / 2] ?? 0
  const detail = `median ${median.toFixed(1)} ms, slowest ${(times.at(-1) ?? 0).toFixed(1)} ms of ${PINGS} round trips`
  if (median >= HOPELESS_MS) return fail(`${detail}; operations would run into commandTimeoutMs (2 s)`)
  return median >= SLOW_MS ? warn(`${detail}; every guarded request waits for two round trips`) : ok(detail)
}

function mastersOf({ client }: Connection): readonly (Cluster | Redis)[] {
  return client.isCluster ? (client as Cluster).nodes('master') : [client]
}

function probeKey(): string {
  return `doctor-${randomUUID()}`
}

/** Undefined if the Redis user may not run the command. */
async function ask(command: () => Promise<string>): Promise<string | undefined> {
  try {
    return await command()
  } catch (error) {
    if (messageOf(error).startsWith('NOPERM')) return undefined
    throw error
  }
}

function field(info: string | undefined, name: string): string | undefined {
  return new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info ?? '')?.[1]
}

function messageOf(error: unknown): string {
  const told = withRemedy(error)
  return told instanceof Error ? told.message : String(told)
}
