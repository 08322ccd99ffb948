// One run: servers, workers and faults for a while, then the verdict on everything that was written down.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startRedisServer } from 'dspinlock-local-redis'
import { FaultProxy } from '../../support/fault-proxy.js'
import type { ClientName, Topology } from '../../support/redis-clients.js'
import { check, type Incident, type Verdict } from './checker.js'
import { now, readHistories } from './history.js'
import { type FaultKind, Injector, type Victim } from './injector.js'
import { startTormented } from './servers.js'
import type { Defect } from './teeth.js'
import type { WorkerSettings } from './worker.js'

export interface TortureOptions {
  readonly seed: number
  readonly seconds: number
  readonly workers?: number
  /** The number of callers of each worker. */
  readonly callers?: number
  readonly leaseMs?: number
  /** The share of holds that last longer than a lease. */
  readonly longShare?: number
  /** Default: all faults that there are for these servers. */
  readonly kinds?: readonly FaultKind[]
  readonly everyMs?: number
  readonly servers?: Topology['kind']
  /** Default: the client that the store makes for an address. */
  readonly client?: ClientName
  readonly defect?: Defect
}

export interface TortureResult extends Verdict {
  readonly seed: number
  readonly faults: ReadonlyMap<FaultKind, number>
  readonly workers: number
}

/** How long a worker that was told to stop may take: its longest wait, and a command that times out. */
const EXIT_WITHIN_MS = 20_000

export async function torture(options: TortureOptions): Promise<TortureResult> {
  const { seed, seconds, workers = 6, callers = 6, leaseMs = 600, everyMs = 1_000 } = options
  const { longShare = 0.03 } = options
  const directory = await mkdtemp(join(tmpdir(), 'dspinlock-torture-'))
  const register = await startRedisServer()
  const servers = await startTormented(options.servers ?? 'single')
  const kinds = options.kinds ?? servers.kinds
  const incidents: Incident[] = []
  const crew: Worker[] = []
  const proxies = new Set<FaultProxy>()
  let hired = 0
  const hire = async (place: number): Promise<void> => {
    const proxy = servers.port === undefined ? undefined : await FaultProxy.open(servers.port)
    if (proxy !== undefined && servers.port !== undefined) {
      proxies.add(proxy)
      // The servers may have moved while the proxy was opened.
      proxy.target = servers.port
    }
    const name = `worker-${++hired}`
    const settings: WorkerSettings = {
      name,
      historyPath: join(directory, `${name}.history`),
      topology: servers.topologyFor(proxy?.url ?? ''),
      client: options.client ?? 'default',
      registerUrl: register.url,
      seed: seed * 1_000 + hired,
      callers,
      leaseMs,
      longShare,
      minReplicas: 0,
      defect: options.defect ?? '',
    }
    const worker = new Worker(settings, proxy, () => hire(place))
    crew[place] = worker
    await worker.ready
  }
  servers.onMove = port => {
    for (const proxy of proxies) proxy.target = port
  }
  const injector = new Injector({ seed, kinds, everyMs, leaseMs, victims: () => crew, servers })
  try {
    await Promise.all(Array.from({ length: workers }, (_, place) => hire(place)))
    const until = now() + seconds * 1_000
    await injector.run(until)
    await delay(Math.max(0, until - now()))
    await Promise.all(
      crew.map(async worker => {
        if (await worker.finish()) return
        incidents.push({ kind: 'not-exited', worker: worker.name, from: now(), to: now() })
      }),
    )
  } finally {
    for (const worker of crew) worker?.signal('SIGKILL')
    await servers.stop()
    await register.stop()
  }
  const verdict = check(readHistories(directory), [...incidents, ...injector.incidents], Date.now() - now())
  if (process.env['RIG_KEEP'] === undefined) await rm(directory, { recursive: true, force: true })
  else console.error(`histories: ${directory}`)
  return { ...verdict, seed, faults: injector.counts, workers: hired }
}

class Worker implements Victim {
  readonly name: string
  readonly proxy: FaultProxy | undefined
  readonly ready: Promise<unknown>
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #hireNext: () => Promise<void>

  constructor(settings: WorkerSettings, proxy: FaultProxy | undefined, hireNext: () => Promise<void>) {
    this.name = settings.name
    this.proxy = proxy
    this.#hireNext = hireNext
    this.#child = fork(new URL('./worker.js', import.meta.url), {
      env: { ...process.env, RIG_WORKER: JSON.stringify(settings) },
    })
    this.#exited = once(this.#child, 'exit')
    this.ready = Promise.race([once(this.#child, 'message'), this.#exited])
  }

  signal(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  async replace(): Promise<void> {
    await this.#exited
    await this.proxy?.close()
    await this.#hireNext()
  }

  /** Lets the worker answer its callers and exit. False: it did not, and was killed. */
  async finish(): Promise<boolean> {
    if (this.#child.connected) this.#child.send('stop')
    const late = new AbortController()
    const inTime = await Promise.race([
      this.#exited.then(() => true),
      delay(EXIT_WITHIN_MS, false, { signal: late.signal }),
    ])
    if (inTime) late.abort()
    else this.#child.kill('SIGKILL')
    await this.#exited
    await this.proxy?.close()
    return inTime
  }
}

/** For people: what was injected, what was counted, what was broken. */
export function describeResult(result: TortureResult): string {
  const { counts, faults, breaches, seed } = result
  const lines = [...faults].map(([kind, count]) => `  ${kind.padEnd(20)}${count}`)
  const shown = breaches.slice(0, 20).map(({ name, what }) => `  ${name}: ${what}`)
  if (breaches.length > shown.length) shown.push(`  and ${breaches.length - shown.length} more`)
  return [
    'injected:',
    ...lines,
    `counted: ${counts.holds} holds by ${result.workers} processes, ${counts.records} records, ${counts.follows} duplicates answered with one, ` +
      `${counts.refusals} refused, ${counts.errors} errors, ${counts.lost} holds lost, ${counts.writesRefused} stale writes refused, ` +
      `${counts.excused} explained by lost data`,
    breaches.length === 0 ? 'no breach' : `${breaches.length} breaches; --seed ${seed} repeats them:`,
    ...shown,
  ].join('\n')
}
