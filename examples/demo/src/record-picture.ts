// Sends 200 duplicates to three processes on one Redis, and writes when each was sent and answered, and when the handler ran.

import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { requireLocalRedis } from 'dspinlock-local-redis'
import { drawPicture } from './draw-picture.js'
import type { PictureData } from './picture-data.js'
import { BURST, type HandlerRun } from './scenario.js'
import { disconnect, send, startServers } from './servers.js'

const PROCESSES = 3
/** Two requests in each millisecond: a crowd, and no single instant. */
const PER_MS = 2

const images = new URL('../../../docs/images/', import.meta.url)

/** The clock that handlers note their times by, in milliseconds. */
const now = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000

async function record(redisUrl: string): Promise<PictureData> {
  const { ports, stop } = await startServers(PROCESSES, redisUrl)
  try {
    const portOf = (n: number): number => ports[n % PROCESSES] ?? 0
    const startMs = now()
    const ask = async (n: number): Promise<PictureData['requests'][number] & { body: string }> => {
      const sentMs = now() - startMs
      const { status, body } = await send(portOf(n), 'GET', '/replay')
      return { process: n % PROCESSES, sentMs, answeredMs: now() - startMs, status, body }
    }
    const asked: ReturnType<typeof ask>[] = []
    for (let n = 0; n < BURST; n++) {
      if (n % PER_MS === 0) await sleep(Math.max(0, n / PER_MS - (now() - startMs)))
      asked.push(ask(n))
    }
    const answers = await Promise.all(asked)
    const runs: PictureData['runs'][number][] = []
    for (const [process, port] of ports.entries()) {
      const all = JSON.parse((await send(port, 'GET', '/runs')).body) as HandlerRun[]
      for (const { startedAt, endedAt } of all) {
        runs.push({ process, startedMs: startedAt / 1_000 - startMs, endedMs: endedAt / 1_000 - startMs })
      }
    }
    const bodies = new Set(answers.map(({ body }) => body)).size
    const requests = answers.map(({ process, sentMs, answeredMs, status }) => ({ process, sentMs, answeredMs, status }))
    return { processes: PROCESSES, requests, runs, bodies }
  } finally {
    await stop()
    disconnect()
  }
}

const redis = await requireLocalRedis()
try {
  const data = await record(redis.url)
  const rounded = (_name: string, value: unknown): unknown =>
    typeof value === 'number' ? Math.round(value * 100) / 100 : value
  const text = JSON.stringify(data, rounded).replaceAll('{"process"', '\n{"process"')
  writeFileSync(new URL('duplicates.json', images), `${text}\n`)
  writeFileSync(new URL('duplicates.svg', images), drawPicture(JSON.parse(text) as PictureData))
} finally {
  await redis.stop()
}
