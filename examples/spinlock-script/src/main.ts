// Two processes of the script contend for the same values on a real Redis; this one watches, and says whether they were served in turn.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findLocalRedis } from 'dspinlock-local-redis'

const redis = await findLocalRedis()
if (redis === undefined) {
  console.log('This needs a Redis: set REDIS_URL, or put redis-server or valkey-server on PATH.')
  process.exit(1)
}

const script = fileURLToPath(new URL('./script.js', import.meta.url))
const night = `night ${Date.now()}`

/** What both scripts said, in the order in which they said it: both append to one file, which no pipe could promise. */
async function runTwice(redisUrl: string): Promise<{ codes: unknown[]; lines: string[] }> {
  const directory = await mkdtemp(join(tmpdir(), 'dspinlock-script-'))
  const file = join(directory, 'output')
  const output = await open(file, 'a')
  try {
    const env = { ...process.env, REDIS_URL: redisUrl }
    const start = async (): Promise<unknown> => {
      const child = spawn(process.execPath, [script, night], { env, stdio: ['ignore', output.fd, 'inherit'] })
      return ((await once(child, 'exit')) as unknown[])[0]
    }
    const codes = await Promise.all([start(), start()])
    return { codes, lines: (await readFile(file, 'utf8')).trimEnd().split('\n') }
  } finally {
    await output.close()
    await rm(directory, { recursive: true })
  }
}

/** What is not as promised. */
function findBreaches(codes: readonly unknown[], lines: readonly string[]): string[] {
  const breaches: string[] = []
  if (codes.some(code => code !== 0)) breaches.push(`the scripts ended with ${codes.join(' and ')}`)
  let inside: string | undefined
  let highest = 0
  let steps = 0
  for (const line of lines) {
    const [, pid, what, fence] = /^process (\d+): (begins|ends) step \d(?: under fence (\d+))?$/.exec(line) ?? []
    if (what === 'begins') {
      if (inside !== undefined) breaches.push(`process ${pid} began while process ${inside} was at work`)
      if (Number(fence) <= highest) breaches.push(`fence ${fence} came after ${highest}`)
      highest = Number(fence)
      inside = pid
    } else if (what === 'ends') {
      steps++
      inside = undefined
    }
  }
  if (steps !== 6) breaches.push(`${steps} steps were done in place of 6`)
  const computed = lines.filter(line => line.endsWith('computes the report')).length
  if (computed !== 1) breaches.push(`the report was computed ${computed} times`)
  const reports = new Set(lines.map(line => /has the report of process (\d+)/.exec(line)?.[1]).filter(Boolean))
  if (reports.size !== 1) breaches.push(`${reports.size} different reports were had`)
  return breaches
}

try {
  console.log(`Two processes of one script, on ${redis.description}`)
  const { codes, lines } = await runTwice(redis.url)
  for (const line of lines) console.log(line)
  const breaches = findBreaches(codes, lines)
  console.log(breaches.length === 0 ? 'One at a time, and the report once.' : `BROKEN: ${breaches.join('; ')}`)
  process.exitCode = breaches.length === 0 ? 0 : 1
} finally {
  await redis.stop()
}
