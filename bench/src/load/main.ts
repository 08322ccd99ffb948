// The process that makes the load: many requests over some connections, or one for each connection at once.

import { answerCalls } from '../harness/remote.js'
import { type Answer, Connection } from './connection.js'
import { RequestMaker, type RequestShape } from './request.js'

export interface LoadOrder {
  readonly port: number
  readonly connections: number
  readonly requests: number
  readonly shape: RequestShape
  /** Part of every name: the same `run` and the same `names` make the same requests. */
  readonly run: string
}

export interface LoadReport {
  readonly seconds: number
  readonly statuses: Readonly<Record<string, number>>
  /** The latencies of all requests, in milliseconds. */
  readonly latencyMs: { readonly median: number; readonly p99: number }
  /** CPU time of this process, in seconds; if it is near `seconds`, the load limited the rate. */
  readonly cpuSeconds: number
}

export interface BurstOrder {
  /** The ports of the servers; connections are spread over them in turn. */
  readonly ports: readonly number[]
  readonly requests: number
  readonly shape: RequestShape
  readonly run: string
}

function openAll(ports: readonly number[], count: number): Promise<Connection[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => Connection.open(ports[at % ports.length] ?? 0)))
}

function report(
  startedAt: number,
  cpu: NodeJS.CpuUsage,
  statuses: Map<number, number>,
  latencies: Float64Array,
): LoadReport {
  const seconds = (performance.now() - startedAt) / 1000
  const { user, system } = process.cpuUsage(cpu)
  latencies.sort()
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0
  return {
    seconds,
    statuses: Object.fromEntries(statuses),
    latencyMs: { median: at(0.5), p99: at(0.99) },
    cpuSeconds: (user + system) / 1e6,
  }
}

/** Every connection sends its next request when its last one is answered, until all were sent. */
async function runLoad({ port, connections, requests, shape, run }: LoadOrder): Promise<LoadReport> {
  const maker = new RequestMaker(shape, run)
  const open = await openAll([port], connections)
  const statuses = new Map<number, number>()
  const latencies = new Float64Array(requests)
  let sent = 0
  let answered = 0
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      const sendOn = (connection: Connection): void => {
        if (sent >= requests) return
        sent++
        const sentAt = performance.now()
        const onAnswer = ({ status }: Answer): void => {
          latencies[answered++] = performance.now() - sentAt
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          if (answered === requests) resolve()
          else sendOn(connection)
        }
        connection.send(maker.make(), onAnswer, reject)
      }
      for (const connection of open) sendOn(connection)
    })
    return report(startedAt, cpu, statuses, latencies)
  } finally {
    for (const connection of open) connection.close()
  }
}

/** Sends all requests at once, each on a connection of its own that was opened before. */
async function runBurst({ ports, requests, shape, run }: BurstOrder): Promise<LoadReport> {
  const maker = new RequestMaker(shape, run)
  const open = await openAll(ports, requests)
  const made = open.map(connection => ({ connection, request: maker.make() }))
  const statuses = new Map<number, number>()
  const latencies = new Float64Array(requests)
  let answered = 0
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  try {
    await new Promise<void>((resolve, reject) => {
      for (const { connection, request } of made) {
        const onAnswer = ({ status }: Answer): void => {
          latencies[answered++] = performance.now() - startedAt
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
          if (answered === requests) resolve()
        }
        connection.send(request, onAnswer, reject)
      }
    })
    return report(startedAt, cpu, statuses, latencies)
  } finally {
    for (const connection of open) connection.close()
  }
}

let held: Connection[] = []

/** Sends a request on each of so many connections, without waiting for answers. */
async function hold({ ports, requests, shape, run }: BurstOrder): Promise<void> {
  const maker = new RequestMaker(shape, run)
  held = await openAll(ports, requests)
  for (const connection of held) {
    connection.send(
      maker.make(),
      () => {},
      () => {},
    )
  }
}

function letGo(): void {
  for (const connection of held) connection.close()
  held = []
}

answerCalls({ load: runLoad, burst: runBurst, hold, letGo })
